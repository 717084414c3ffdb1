"""The observer read off the answers: what is stable tells, what varies by itself does not."""

import json

import pytest

from conformance.checks.receiver.inferred_observer import infer_observer
from conformance.model.exchange import Answer


def answer(body, status=200):
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(status, (), text.encode())


@pytest.mark.parametrize(
    ("first", "repeat"),
    [
        pytest.param(
            answer({"ok": True}), answer({"ok": True, "duplicate": True}), id="extra field"
        ),
        pytest.param(answer("ok"), answer("seen already"), id="text"),
        pytest.param(answer("ok"), answer("ok", 208), id="status"),
        pytest.param(answer({"new": True}), answer({"new": 1}), id="true is not 1"),
    ],
)
def test_a_stable_difference_tells(first, repeat):
    learned = infer_observer([first] * 3, [repeat] * 3)
    assert learned is not None
    assert learned.is_first(first) is True
    assert learned.is_first(repeat) is False


def test_volatile_parts_do_not_tell():
    firsts = [answer({"id": f"{n}", "at": 1700000000 + n}) for n in (0, 2, 4)]
    repeats = [answer({"id": f"{n}", "at": 1700000000 + n}) for n in (1, 3, 5)]
    assert infer_observer(firsts, repeats) is None


def test_a_stable_difference_tells_beside_volatile_parts():
    firsts = [answer({"request": f"{n:032x}", "status": "new"}) for n in range(3)]
    repeats = [answer({"request": f"{n:032x}", "status": "known"}) for n in range(3, 6)]
    learned = infer_observer(firsts, repeats)
    assert learned is not None
    assert learned.is_first(answer({"request": "f" * 32, "status": "new"})) is True


def test_an_answer_of_neither_kind_is_neither():
    learned = infer_observer([answer("ok")] * 2, [answer("again")] * 2)
    assert learned is not None
    assert learned.is_first(answer("rate limited")) is None


def test_a_single_odd_repeat_makes_it_unstable():
    assert (
        infer_observer([answer("ok")] * 3, [answer("again"), answer("ok"), answer("again")]) is None
    )
