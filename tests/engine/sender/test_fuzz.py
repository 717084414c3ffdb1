"""Whatever message a sender is given, and however its endpoint answers: what arrives, and when."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.fuzz import messages
from conformance.protocol.delivery import State
from conformance.protocol.validation import message_problems
from conformance.sender.attempt import AttemptReply
from tests.sender.parts import NOW, SECRET, HookRequest, api, call, create, endpoint, event
from tests.sender.turned import HOOK, Attempt, sender


def exact(message: dict[str, Any]) -> str:
    """A message in a form in which 1, 1.0 and true differ, as they do not in Python."""
    return json.dumps(message, sort_keys=True)


def signature(got: HookRequest) -> str:
    signed = got.headers["x-webhook-timestamp"].encode() + b":" + got.body
    return hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


async def pushed(given: list[dict[str, Any]]) -> list[HookRequest]:
    """What comes over HTTP of message events, each delivered once."""
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url, IncludeSelfMessage=True)
            said = await call("POST", f"{base}/Emit", given)
            assert said.status == 202, said.message
            return list(await hook.arrived(len(given)))


@settings(max_examples=25, deadline=None)
@given(st.lists(messages(), min_size=1, max_size=12))
def test_any_message_arrives_unchanged_in_schema_and_signed_over_its_bytes(
    given: list[dict[str, Any]],
) -> None:
    events = [{name: each[name] for name in each if name != "timestamp"} for each in given]
    got = {each.msg_id: each for each in asyncio.run(pushed(events))}
    for each in events:
        arrived = got[each["msgId"]]
        stamp = arrived.json["timestamp"]
        assert exact(arrived.json) == exact(each | {"timestamp": stamp})
        assert str(stamp) == arrived.headers["x-webhook-timestamp"]
        assert message_problems(arrived.json) == []
        assert arrived.headers["x-webhook-signature"] == signature(arrived)


REPLIES = st.builds(
    AttemptReply,
    st.sampled_from([200, 200, 201, 204, 302, 400, 404, 429, 500, 503, None]),
    st.just("told"),
    st.sampled_from([0.0, 0.5, 1.0, 4.9, 5.1, 9.5]),
    st.none() | st.sampled_from([0.0, 3.0, 90.0, 5_000.0]),
)


@dataclass(frozen=True)
class Life:
    """A message: when it is given (seconds from the start, perhaps more than once), and how its
    attempts are answered, the last answer ever again."""

    given: tuple[int, ...]
    replies: tuple[AttemptReply, ...]

    def reply(self, attempt: int) -> AttemptReply:
        return self.replies[min(attempt, len(self.replies)) - 1]


LIVES = st.builds(
    Life,
    st.lists(st.integers(0, 120), min_size=1, max_size=3).map(lambda times: tuple(sorted(times))),
    st.lists(REPLIES, min_size=1, max_size=8).map(tuple),
)


def promised(life: Life, timeout: int, retries: int) -> tuple[list[float], State]:
    """When the protocol has a message attempted, and what becomes of it, written out by itself:
    200 within 5 s or the Timeout ends it; else the waits double from 1 s up to 60 s, or are what the
    answer asked for, up to ten minutes."""
    now, attempts = float(life.given[0]), []
    for number in range(1, retries + 2):
        reply = life.reply(number)
        attempts.append(now)
        now += reply.elapsed
        if reply.status == 200 and reply.elapsed <= min(5, timeout):
            return attempts, State.DELIVERED
        now += max(min(60.0, 2.0 ** (number - 1)), min(reply.retry_after or 0.0, 600.0))
    return attempts, State.FAILED


@settings(max_examples=60, deadline=None)
@given(st.lists(LIVES, min_size=1, max_size=6), st.integers(1, 30), st.integers(0, 9))
def test_whatever_the_answers_attempts_come_when_the_protocol_says(
    is_alive: list[Life], timeout: int, retries: int
) -> None:
    made: dict[str, list[Attempt]] = defaultdict(list)

    def answer(attempt: Attempt) -> AttemptReply:
        msg_id = json.loads(attempt.body)["msgId"]
        made[msg_id].append(attempt)
        return is_alive[int(msg_id)].reply(len(made[msg_id]))

    async def run() -> None:
        async with sender(answer) as here:
            await here.put(replace(HOOK, timeout=timeout, retry_count=retries))
            due = sorted((at, str(n)) for n, life in enumerate(is_alive) for at in life.given)
            for at, msg_id in due:
                await here.clock.turn(NOW + at - here.clock.now())
                await here.accept(event(msg_id))
            await here.clock.turn(3 * 3600)
            settled = {each.msg_id: each.state for each in here.store.queue.newest(1000)}
        for n, life in enumerate(is_alive):
            times, state = promised(life, timeout, retries)
            attempts = made[str(n)]
            assert [each.at - NOW for each in attempts] == pytest.approx(times, abs=0.01)
            assert settled[str(n)] is state
            assert len({each.body for each in attempts}) == 1

    asyncio.run(run())
