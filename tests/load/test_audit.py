"""Asking the observer what became of each message: every one once, missing effects again, on a clock that
the test turns."""

import asyncio
import json

import pytest

from conformance.engine.receiver.session import Session
from conformance.engine.stalls import Stalls
from conformance.load import audit
from conformance.load.audit import Audit
from conformance.load.ledger import ACKNOWLEDGED, FORGED, REPEATED, VALID, Ledger
from conformance.load.side import options
from conformance.model.exchange import Answer, Role
from conformance.wire.reply import Reply
from tests.load.runs import SETTINGS

GOOD, SILENT = VALID | ACKNOWLEDGED, VALID
EFFECT_TIMEOUT, LIMIT = 10.0, 100.0


class Turned:
    """A clock that sleeping turns."""

    def __init__(self):
        self.at = 1000.0

    def now(self):
        return self.at

    def monotonic(self):
        return self.at

    async def sleep(self, seconds):
        self.at += seconds
        await asyncio.sleep(0)


class Target:
    """Accepts everything; the observer's answer to the nth question about a msgId is `answer(msg_id, n)`: a
    count, or the body as bytes. A message of the audit's own has one effect, after `lag` seconds."""

    def __init__(self, made, answer, lag):
        self.clock = Turned()
        self.asked = {}
        self._known = {made.msg_id(number) for number in range(len(made.states))}
        self._answer = answer
        self._shown_at = self.clock.at + lag

    async def send(self, request, how):
        now = self.clock.monotonic()
        body = b"ok"
        if request.method == "GET":
            msg_id = int(request.url.rpartition("=")[2])
            self.asked[msg_id] = self.asked.get(msg_id, 0) + 1
            own = int(now >= self._shown_at)
            counted = self._answer(msg_id, self.asked[msg_id]) if msg_id in self._known else own
            body = (
                counted if isinstance(counted, bytes) else json.dumps({"count": counted}).encode()
            )
        return Reply(Answer(200, (), body), None, "", now, now, now)


def ledger(*states):
    made = Ledger(run=1, worker=0)
    for state in states:
        made.add_message(state)
    return made


async def audited(made, answer, *, stop_after=None, lag=0.0):
    """What an audit of `made` finds out, the target, and the session's trace."""
    target = Target(made, answer, lag)
    session = Session(options(SETTINGS), target.send, target.clock, Stalls(target.clock))
    ended = target.clock.monotonic()
    limits = {"effect_timeout": EFFECT_TIMEOUT, "until": ended + LIMIT}
    run = Audit(session, [made], ended=ended, **limits)

    def progress(asked, messages):
        if stop_after is not None and asked >= stop_after:
            run.stop()

    return await run.run(progress), target, session.trace


async def test_every_message_is_asked_about_once():
    found, target, _ = await audited(ledger(*[GOOD] * 100, SILENT), lambda msg_id, n: 1)
    assert (found["messages"], found["unread"], found["ended"]) == (101, 0, "settled")
    assert (found["lost"], found["doubled"], found["forged"]) == (0, 0, 0)
    assert set(target.asked.values()) == {1}


@pytest.mark.parametrize(
    ("state", "count", "category"),
    [
        pytest.param(GOOD, 0, "lost", id="acknowledged without effect"),
        pytest.param(GOOD, 2, "doubled", id="acknowledged, two effects"),
        pytest.param(SILENT, 2, "doubled", id="never acknowledged, two effects"),
        pytest.param(FORGED, 1, "forged", id="forged, one effect"),
        pytest.param(SILENT, 0, None, id="never acknowledged, no effect"),
        pytest.param(SILENT, 1, None, id="never acknowledged, one effect"),
        pytest.param(FORGED, 0, None, id="forged, no effect"),
    ],
)
async def test_what_an_effect_means_follows_from_what_was_sent(state, count, category):
    made = ledger(state)
    found, _, trace = await audited(made, lambda msg_id, n: count)
    expected = [] if category is None else [category]
    assert [name for name in ("lost", "doubled", "forged") if found[name]] == expected
    if category is not None:
        assert found["examples"][category] == [str(made.msg_id(0))]
        observed = [each.msg_id for each in trace if each.role is Role.OBSERVE]
        assert str(made.msg_id(0)) in observed


async def test_a_missing_effect_is_lost_only_after_the_effect_timeout():
    found, _, _ = await audited(ledger(GOOD), lambda msg_id, n: 0)
    assert found["ended"] == "settled"
    assert found["waited"] == pytest.approx(EFFECT_TIMEOUT, abs=1)


async def test_a_late_effect_is_not_a_loss():
    found, _, _ = await audited(ledger(GOOD, GOOD), lambda msg_id, n: int(n > 3))
    assert (found["lost"], found["late"]) == (0, 2)
    assert found["behind"] > 0


async def test_the_longer_effects_lag_the_longer_the_others_are_waited_for():
    # One effect after some 8 s, nothing afterwards: three times that, and not five seconds.
    made = ledger(GOOD, GOOD)
    found, _, _ = await audited(made, lambda msg_id, n: int(msg_id == made.msg_id(0) and n > 40))
    assert (found["ended"], found["lost"]) == ("settled", 1)
    assert found["waited"] >= (1 + audit.LAGS) * found["behind"] - 1


async def test_effects_that_keep_appearing_when_the_time_is_up_are_late():
    made = ledger(*[GOOD] * 40)
    # One more effect about every four seconds.
    found, _, _ = await audited(made, lambda msg_id, n: int(n > 20 * (msg_id - made.msg_id(0))))
    assert found["ended"] == "time"
    assert found["lost"] > 0


async def test_a_late_second_effect_is_found():
    # The first message takes effect late; the second one's repeat is processed after that.
    made = ledger(GOOD, GOOD | REPEATED)

    def answer(msg_id, n):
        return int(n > 2) if msg_id == made.msg_id(0) else n

    found, _, _ = await audited(made, answer)
    assert found["examples"]["doubled"] == [str(made.msg_id(1))]


async def test_a_second_effect_is_waited_for_where_no_first_one_is_late():
    # The repeat is still in a queue, with the audit's own message behind it.
    made = ledger(GOOD | REPEATED)
    found, _, _ = await audited(made, lambda msg_id, n: n, lag=2.0)
    assert (found["doubled"], found["later"]) == (1, True)


async def test_a_question_with_a_bad_answer_is_asked_again():
    found, _, _ = await audited(ledger(GOOD), lambda msg_id, n: b"busy" if n < 3 else 1)
    assert found["unread"] == 0


@pytest.mark.parametrize("body", [b"", b"[]", b'{"count": "1"}', b'{"count": -1}', b'{"n": 1}'])
async def test_an_answer_without_a_count_leaves_the_message_unread(body):
    found, _, _ = await audited(ledger(GOOD), lambda msg_id, n: body)
    assert (found["unread"], found["lost"]) == (1, 0)


@pytest.mark.parametrize("messages", [1, 130])
async def test_an_observer_that_falls_silent_shows_no_loss(messages):
    # The first time it was asked, the effects had not appeared yet.
    made = ledger(*[GOOD] * messages)
    found, target, _ = await audited(made, lambda msg_id, n: 0 if n < 3 else b"busy")
    assert (found["lost"], found["unread"], found["ended"]) == (0, messages, "settled")
    assert target.clock.at < 1000 + LIMIT


async def test_a_short_silence_of_the_observer_hides_no_loss():
    # Four seconds, from before the effect timeout until after it.
    found, _, _ = await audited(ledger(GOOD), lambda msg_id, n: b"busy" if 40 < n < 60 else 0)
    assert (found["lost"], found["unread"]) == (1, 0)


async def test_an_observer_that_never_counts_is_abandoned():
    found, target, _ = await audited(ledger(*[GOOD] * 1000), lambda msg_id, n: b"no")
    assert found["unread"] == 1000
    assert len(target.asked) < 200


async def test_the_audit_can_be_stopped():
    found, target, _ = await audited(ledger(*[GOOD] * 1000), lambda msg_id, n: 1, stop_after=64)
    assert found["ended"] == "stopped"
    assert found["unread"] > 0
    assert len(target.asked) < 200
