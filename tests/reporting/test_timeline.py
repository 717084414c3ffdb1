"""The attempts of a message over time."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from conformance.model.exchange import Answer, Exchange, Fault, Request, Role, Transport
from conformance.reporting.html.timeline import MOST_ATTEMPTS, MOST_MESSAGES, Attempts, Timeline

Came = int | Fault


def story(
    msg_id: str, came: Sequence[Came], waits: Sequence[float] = (), *, took: float = 0.01,
    start: float = 100.0, url: str = "http://x/h/1", first: int = 1,
) -> list[Exchange]:  # fmt: skip
    """Attempts of one message: what each came to, and the waits between them."""
    made, at = [], start
    for number, each in enumerate(came):
        answer = (
            Answer(each, (), b"") if isinstance(each, int) and not isinstance(each, Fault) else None
        )
        fault = each if isinstance(each, Fault) else None
        request = Request("POST", url, (), b"", Transport.RAW)
        made.append(
            Exchange(
                first + number, Role.ATTEMPT, None, None, 0, msg_id, request, None, answer, fault,
                "", at, at, at + took,
            )
        )  # fmt: skip
        at += took + (waits[number] if number < len(waits) else 0.0)
    return made


def timeline(exchanges: list[Exchange]) -> Timeline:
    (found,) = Attempts(exchanges).of(exchanges[:1])
    return found


def test_the_waits_between_attempts_and_their_growth_are_told() -> None:
    rows = timeline(story("1", [500, 500, 500, 200], [1.0, 2.0, 4.0])).attempts
    assert [each.wait and round(each.wait, 3) for each in rows] == [None, 1.0, 2.0, 4.0]
    assert [each.growth and round(each.growth, 2) for each in rows] == [None, None, 2.0, 2.0]
    assert [round(each.at, 2) for each in rows] == [0.0, 1.01, 3.02, 7.03]


def test_only_200_is_delivered() -> None:
    rows = timeline(story("1", [204, Fault.TIMEOUT, 200], [1, 1])).attempts
    assert [each.delivered for each in rows] == [False, False, True]


def test_a_fault_is_named() -> None:
    rows = timeline(story("1", [Fault.TIMEOUT, 200], [1])).attempts
    assert "no whole answer in time" in rows[0].came


def test_the_whole_story_is_told_whatever_part_of_it_shows_the_result() -> None:
    exchanges = story("1", [500, 500, 200], [1, 2])
    (found,) = Attempts(exchanges).of(exchanges[2:])
    assert [each.id for each in found.attempts] == [1, 2, 3]


def test_the_same_message_at_two_endpoints_is_two_stories() -> None:
    exchanges = [*story("1", [200]), *story("1", [200], url="http://x/h/2", first=2)]
    assert len(Attempts(exchanges).of(exchanges)) == 2


def test_what_the_suite_itself_sent_is_no_attempt() -> None:
    exchanges = [
        Exchange(
            1, Role.PROBE, None, None, 0, "1", Request("POST", "http://x", (), b""), None,
            Answer(200, (), b""), None, "", 0.0, 0.0, 0.1,
        )
    ]  # fmt: skip
    assert Attempts(exchanges).of(exchanges) == []


def test_messages_of_one_result_are_drawn_on_one_scale() -> None:
    exchanges = [*story("1", [500, 200], [9.98]), *story("2", [500, 200], [4.98], first=3)]
    drawings = [each.drawing for each in Attempts(exchanges).of(exchanges)]
    ends = [re.findall(r'cx="([\d.]+)%"', each)[-1] for each in drawings]
    assert [float(each) for each in ends] == pytest.approx([99.9, 49.9], abs=0.2)


def test_there_are_no_more_stories_than_a_reader_takes_in() -> None:
    exchanges = [
        each for number in range(30) for each in story(str(number), [200], first=number + 1)
    ]
    assert len(Attempts(exchanges).of(exchanges)) == MOST_MESSAGES


def test_attempts_past_the_most_are_counted() -> None:
    found = timeline(story("1", [500] * 60, [0.1] * 59))
    assert (len(found.attempts), found.more) == (MOST_ATTEMPTS, 20)


def test_a_single_attempt_in_no_time_has_a_drawing() -> None:
    assert 'cx="0.00%"' in timeline(story("1", [200], took=0.0)).drawing


def test_an_id_from_a_sender_is_escaped() -> None:
    assert timeline(story("<b>\0", [200])).msg_id == r"&lt;b&gt;<i>\x00</i>"
