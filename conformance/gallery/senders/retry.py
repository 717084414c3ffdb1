"""Senders that read an answer wrongly, or do not try again as they should.
Rules: sender.retry.*, but for those of pace.py
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import aiohttp

from conformance.gallery.senders.peer import FaultySender, msg_id, retrying
from conformance.protocol import configuration as config
from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import DeliveryEvent, deadline
from conformance.protocol.dialect import Dialect
from conformance.protocol.encodings import compact
from conformance.sender.attempt import Answer, AttemptReply, Outgoing, compose, exchange
from conformance.sender.behaviour import SenderBehaviour, outcome
from conformance.sender.queue import Waiting


def _accepting(accepts: Callable[[int], bool]) -> SenderBehaviour:
    """Other statuses count as delivered too."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        if reply.status is not None and accepts(reply.status):
            return DeliveryEvent.ACCEPTED
        return outcome(waiting, reply, configuration)

    return SenderBehaviour(outcome=judged)


def _giving_up(hopeless: Callable[[AttemptReply, Configuration], bool]) -> SenderBehaviour:
    """Some failures are not tried again."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        found = outcome(waiting, reply, configuration)
        if found is DeliveryEvent.REFUSED and hopeless(reply, configuration):
            return DeliveryEvent.EXHAUSTED
        return found

    return SenderBehaviour(outcome=judged)


def _is_client_error(reply: AttemptReply, configuration: Configuration) -> bool:
    return reply.status is not None and 400 <= reply.status < 500


def _is_timeout(reply: AttemptReply, configuration: Configuration) -> bool:
    return reply.status is None and reply.elapsed > 0.9 * deadline(configuration.timeout)


def _is_connection_fault(reply: AttemptReply, configuration: Configuration) -> bool:
    return reply.status is None and not _is_timeout(reply, configuration)


def _is_reset(reply: AttemptReply, configuration: Configuration) -> bool:
    return "closed the connection" in (reply.problem or "")


def _retries(change: Callable[[int], int]) -> SenderBehaviour:
    """RetryCount is taken for another number."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        count = change(configuration.retry_count)
        return outcome(waiting, reply, replace(configuration, retry_count=count))

    return SenderBehaviour(outcome=judged)


def _zero_is_left_out(given: object, base: Configuration | None) -> Configuration:
    """`retries = given.RetryCount || 3`."""
    configuration = config.read(given, base)
    return replace(configuration, retry_count=configuration.retry_count or 3)


def _one_deadline() -> SenderBehaviour:
    """One context with a time-out around the whole loop of attempts."""
    begun: dict[int, float] = {}

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        now = time.monotonic()
        began = begun.setdefault(waiting.id, now - reply.elapsed)
        found = outcome(waiting, reply, configuration)
        over = now - began >= deadline(configuration.timeout)
        return DeliveryEvent.EXHAUSTED if found is DeliveryEvent.REFUSED and over else found

    return SenderBehaviour(outcome=judged)


def _faults_for_free() -> SenderBehaviour:
    """What the HTTP library sends again by itself is not counted."""
    broken: Counter[int] = Counter()

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        broken[waiting.id] += _is_connection_fault(reply, configuration)
        counted = replace(waiting, attempts=waiting.attempts - broken[waiting.id])
        return outcome(counted, reply, configuration)

    return SenderBehaviour(outcome=judged)


def _timer_left(
    waiting: Waiting, reply: AttemptReply, configuration: Configuration
) -> DeliveryEvent:
    """A retry that was planned before the first one was answered."""
    if reply.status == 200 and waiting.attempts == 1:
        return DeliveryEvent.REFUSED
    return outcome(waiting, reply, configuration)


async def _following(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    """What HTTP clients do when nobody tells them not to."""
    async with session.request(
        request.method, request.url, data=request.body, headers=request.headers
    ) as answer:
        await answer.read()
        return Answer(answer.status, None, answer.headers.get("Retry-After"))


async def _following_kept_methods(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    answer = await exchange(session, request)
    if answer.status in (307, 308) and answer.location is not None:
        url = request.url.join(type(request.url)(answer.location))
        return await exchange(session, replace(request, url=url))
    return answer


async def _by_the_head(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    """Done as soon as the status is known; whatever comes of the body."""
    async with session.request(
        request.method,
        request.url,
        data=request.body,
        headers=request.headers,
        allow_redirects=False,
    ) as answer:
        return Answer(answer.status, None, answer.headers.get("Retry-After"))


async def _parsing(
    session: aiohttp.ClientSession, request: Outgoing, *, fits: Callable[[bytes], bool]
) -> Answer:
    """A 200 counts if its body `fits` as well."""
    async with session.request(
        request.method,
        request.url,
        data=request.body,
        headers=request.headers,
        allow_redirects=False,
    ) as answer:
        body = await answer.read()
        if answer.status == 200 and not fits(body):
            raise ValueError("the answer is not what was expected")
        return Answer(answer.status, None, answer.headers.get("Retry-After"))


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _is_no_error(body: bytes) -> bool:
    told = json.loads(body) if _is_json(body) else None
    return not (isinstance(told, dict) and told.get("status") == "error")


def _new_id(dialect: Dialect, configuration: Configuration, body: bytes, now: float) -> Outgoing:
    """The id is drawn where the request is made."""
    message = json.loads(body)
    fresh = message | {"msgId": f"{message['msgId']}{int(now * 1000)}"}
    return compose(dialect, configuration, compact(fresh), now)


def _first_signature() -> SenderBehaviour:
    """The signature is kept with the message, and the timestamp is not."""
    kept: dict[tuple[str, str], str] = {}

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        request = compose(dialect, configuration, body, now)
        name = dialect.signature_header
        first = kept.setdefault((configuration.url, msg_id(body)), request.headers[name])
        return replace(request, headers=request.headers | {name: first})

    return SenderBehaviour(compose=composed)


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.retry.{name}" for name in names)


RETRY = (
    FaultySender(
        "any-2xx-delivers",
        "takes every 2xx for success",
        _rule("on-non-200"),
        _accepting(lambda status: 200 <= status < 300),
    ),
    FaultySender(
        "below-400-delivers",
        "takes every status below 400 for success, as raise_for_status does",
        _rule("on-non-200"),
        _accepting(lambda status: status < 400),
    ),
    FaultySender(
        "4xx-is-final",
        "gives a message up when it is answered 4xx",
        _rule("on-non-200"),
        _giving_up(_is_client_error),
    ),
    FaultySender(
        "follows-redirects",
        "follows redirects, and takes the answer at their end for the receiver's",
        _rule("no-redirect", "on-non-200"),
        SenderBehaviour(exchange=_following),
    ),
    FaultySender(
        "follows-307-and-308",
        "sends a message on to wherever a 307 or 308 leads",
        _rule("no-redirect"),
        SenderBehaviour(exchange=_following_kept_methods),
    ),
    FaultySender(
        "reads-the-answer",
        "takes a 200 with an error in its body for a failure",
        _rule("status-alone"),
        SenderBehaviour(exchange=partial(_parsing, fits=_is_no_error)),
    ),
    FaultySender(
        "expects-json",
        "takes a 200 whose body is not JSON for a failure",
        _rule("status-alone"),
        SenderBehaviour(exchange=partial(_parsing, fits=_is_json)),
    ),
    FaultySender(
        "timeout-is-final",
        "takes a message for probably delivered when no answer comes",
        _rule("on-timeout"),
        _giving_up(_is_timeout),
    ),
    FaultySender(
        "fault-is-final",
        "tries again after a bad status only, and not when the connection fails",
        _rule("on-connection-fault"),
        _giving_up(_is_connection_fault),
    ),
    FaultySender(
        "reset-is-final",
        "does not send again what was sent when the connection broke",
        _rule("on-connection-fault"),
        _giving_up(_is_reset),
    ),
    FaultySender(
        "head-is-enough",
        "decides by the head of an answer, and does not wait for the rest",
        (*_rule("on-connection-fault[half]"), "sender.time.deadline[dripping]"),
        SenderBehaviour(exchange=_by_the_head),
    ),
    FaultySender(
        "count-is-attempts",
        "takes RetryCount for the number of attempts",
        _rule("count"),
        _retries(lambda count: max(0, count - 1)),
    ),
    FaultySender(
        "one-retry-more",
        "makes one retry more than RetryCount",
        _rule("count"),
        _retries(lambda count: count + 1),
    ),
    FaultySender(
        "no-retries-is-three",
        "takes a RetryCount of 0 for one that was left out",
        _rule("count"),
        SenderBehaviour(read=_zero_is_left_out),
    ),
    FaultySender(
        "one-deadline-for-all",
        "has one deadline for all attempts together",
        _rule("count", "on-timeout"),
        _one_deadline,
    ),
    FaultySender(
        "faults-for-free",
        "does not count attempts of which the connection broke",
        _rule("count[drawn]"),
        _faults_for_free,
    ),
    FaultySender(
        "timer-left-running",
        "sends once more after a retry was answered 200",
        _rule("none-after-200"),
        SenderBehaviour(outcome=_timer_left),
    ),
    FaultySender(
        "new-id-on-retry",
        "gives a message another msgId on every retry",
        _rule("same-message"),
        partial(retrying, _new_id),
    ),
    FaultySender(
        "signature-kept",
        "signs a message once, and stamps every retry afresh",
        _rule("same-message"),
        _first_signature,
    ),
)
