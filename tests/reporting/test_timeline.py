"""The attempts of a message over time."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from conformance.model.exchange import Answer, Exchange, Fault, Request, Role, Transport
from conformance.reporting.html.timeline import MOST_ATTEMPTS, MOST_MESSAGES, Timeline, Timelines

Ending = int | Fault


def story(
    msg_id: str, endings: Sequence[Ending], waits: Sequence[float] = (), *, took: float = 0.01,
    start: float = 100.0, url: str = "http://x/h/1", first: int = 1,
) -> list[Exchange]:  # fmt: skip
    """Attempts of one message, with their endings and the waits between them."""
    attempts, at = [], start
    for number, ending in enumerate(endings):
        answer = (
            Answer(ending, (), b"")
            if isinstance(ending, int) and not isinstance(ending, Fault)
            else None
        )
        fault = ending if isinstance(ending, Fault) else None
        request = Request("POST", url, (), b"", Transport.RAW)
        attempts.append(
            Exchange(
                first + number, Role.ATTEMPT, None, None, 0, msg_id, request, None, answer, fault,
                "", at, at, at + took,
            )
        )  # fmt: skip
        at += took + (waits[number] if number < len(waits) else 0.0)
    return attempts


def timeline(exchanges: list[Exchange]) -> Timeline:
    (drawn,) = Timelines(exchanges).of(exchanges[:1])
    return drawn


def test_the_waits_between_attempts_and_their_growth_are_shown() -> None:
    rows = timeline(story("1", [500, 500, 500, 200], [1.0, 2.0, 4.0])).attempts
    assert [each.wait and round(each.wait, 3) for each in rows] == [None, 1.0, 2.0, 4.0]
    assert [each.growth and round(each.growth, 2) for each in rows] == [None, None, 2.0, 2.0]
    assert [round(each.at, 2) for each in rows] == [0.0, 1.01, 3.02, 7.03]


def test_only_200_is_delivered() -> None:
    rows = timeline(story("1", [204, Fault.TIMEOUT, 200], [1, 1])).attempts
    assert [each.delivered for each in rows] == [False, False, True]


def test_a_fault_is_named() -> None:
    rows = timeline(story("1", [Fault.TIMEOUT, 200], [1])).attempts
    assert "no complete answer in time" in rows[0].ending


def test_one_attempt_of_a_message_shows_all_its_attempts() -> None:
    exchanges = story("1", [500, 500, 200], [1, 2])
    (drawn,) = Timelines(exchanges).of(exchanges[2:])
    assert [attempt.id for attempt in drawn.attempts] == [1, 2, 3]


def test_the_same_message_at_two_endpoints_is_two_timelines() -> None:
    exchanges = [*story("1", [200]), *story("1", [200], url="http://x/h/2", first=2)]
    assert len(Timelines(exchanges).of(exchanges)) == 2


def test_a_request_of_the_suite_is_not_an_attempt() -> None:
    exchanges = [
        Exchange(
            1, Role.PROBE, None, None, 0, "1", Request("POST", "http://x", (), b""), None,
            Answer(200, (), b""), None, "", 0.0, 0.0, 0.1,
        )
    ]  # fmt: skip
    assert Timelines(exchanges).of(exchanges) == []


def test_messages_of_one_result_are_drawn_on_one_scale() -> None:
    exchanges = [*story("1", [500, 200], [9.98]), *story("2", [500, 200], [4.98], first=3)]
    drawings = [each.drawing for each in Timelines(exchanges).of(exchanges)]
    ends = [re.findall(r'cx="([\d.]+)%"', each)[-1] for each in drawings]
    assert [float(each) for each in ends] == pytest.approx([99.9, 49.9], abs=0.2)


def test_the_number_of_timelines_is_limited() -> None:
    exchanges = [
        each for number in range(30) for each in story(str(number), [200], first=number + 1)
    ]
    assert len(Timelines(exchanges).of(exchanges)) == MOST_MESSAGES


def test_attempts_beyond_the_limit_are_counted() -> None:
    drawn = timeline(story("1", [500] * 60, [0.1] * 59))
    assert (len(drawn.attempts), drawn.more) == (MOST_ATTEMPTS, 20)


def test_a_single_attempt_in_no_time_has_a_drawing() -> None:
    assert 'cx="0.00%"' in timeline(story("1", [200], took=0.0)).drawing


def test_an_id_from_a_sender_is_escaped() -> None:
    assert timeline(story("<b>\0", [200])).msg_id == r"&lt;b&gt;<i>\x00</i>"
