"""Senders that misread an answer, or retry wrongly.

Rules: sender.retry.*, except those of pace.py
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
    """Other statuses also count as delivered."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        if reply.status is not None and accepts(reply.status):
            return DeliveryEvent.ACCEPTED
        return outcome(waiting, reply, configuration)

    return SenderBehaviour(outcome=judged)


def _giving_up(hopeless: Callable[[AttemptReply, Configuration], bool]) -> SenderBehaviour:
    """Some failures are not retried."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        result = outcome(waiting, reply, configuration)
        if result is DeliveryEvent.REFUSED and hopeless(reply, configuration):
            return DeliveryEvent.EXHAUSTED
        return result

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
    """Retries as if RetryCount were `change(RetryCount)`."""

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        count = change(configuration.retry_count)
        return outcome(waiting, reply, replace(configuration, retry_count=count))

    return SenderBehaviour(outcome=judged)


def _default_zero(body: object, base: Configuration | None) -> Configuration:
    """`retries = body.RetryCount || 3`."""
    configuration = config.read(body, base)
    return replace(configuration, retry_count=configuration.retry_count or 3)


def _share_deadline() -> SenderBehaviour:
    """One timeout around the whole loop of attempts."""
    starts: dict[int, float] = {}

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        now = time.monotonic()
        start = starts.setdefault(waiting.id, now - reply.elapsed)
        result = outcome(waiting, reply, configuration)
        over = now - start >= deadline(configuration.timeout)
        return DeliveryEvent.EXHAUSTED if result is DeliveryEvent.REFUSED and over else result

    return SenderBehaviour(outcome=judged)


def _ignore_connection_faults() -> SenderBehaviour:
    """The HTTP library resends by itself, and nothing counts that."""
    broken: Counter[int] = Counter()

    def judged(
        waiting: Waiting, reply: AttemptReply, configuration: Configuration
    ) -> DeliveryEvent:
        broken[waiting.id] += _is_connection_fault(reply, configuration)
        counted = replace(waiting, attempts=waiting.attempts - broken[waiting.id])
        return outcome(counted, reply, configuration)

    return SenderBehaviour(outcome=judged)


def _leave_timer(
    waiting: Waiting, reply: AttemptReply, configuration: Configuration
) -> DeliveryEvent:
    """A retry that was scheduled before the first one was answered."""
    if reply.status == 200 and waiting.attempts == 1:
        return DeliveryEvent.REFUSED
    return outcome(waiting, reply, configuration)


async def _follow_redirects(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    """What HTTP clients do by default."""
    async with session.request(
        request.method, request.url, data=request.body, headers=request.headers
    ) as answer:
        await answer.read()
        return Answer(answer.status, None, answer.headers.get("Retry-After"))


async def _follow_307_and_308(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    answer = await exchange(session, request)
    if answer.status in (307, 308) and answer.location is not None:
        url = request.url.join(type(request.url)(answer.location))
        return await exchange(session, replace(request, url=url))
    return answer


async def _read_head(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    """Finishes as soon as the status is known, whatever happens to the body."""
    async with session.request(
        request.method,
        request.url,
        data=request.body,
        headers=request.headers,
        allow_redirects=False,
    ) as answer:
        return Answer(answer.status, None, answer.headers.get("Retry-After"))


async def _check_body(
    session: aiohttp.ClientSession, request: Outgoing, *, fits: Callable[[bytes], bool]
) -> Answer:
    """A 200 counts only if its body `fits` too."""
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


def _holds_no_error(body: bytes) -> bool:
    answer = json.loads(body) if _is_json(body) else None
    return not (isinstance(answer, dict) and answer.get("status") == "error")


def _change_id(dialect: Dialect, configuration: Configuration, body: bytes, now: float) -> Outgoing:
    """Generates the id where it builds the request."""
    message = json.loads(body)
    fresh = message | {"msgId": f"{message['msgId']}{int(now * 1000)}"}
    return compose(dialect, configuration, compact(fresh), now)


def _reuse_signature() -> SenderBehaviour:
    """Stores the signature with the message, but not the timestamp."""
    signatures: dict[tuple[str, str], str] = {}

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        request = compose(dialect, configuration, body, now)
        name = dialect.signature_header
        first = signatures.setdefault((configuration.url, msg_id(body)), request.headers[name])
        return replace(request, headers=request.headers | {name: first})

    return SenderBehaviour(compose=composed)


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.retry.{name}" for name in names)


RETRY = (
    FaultySender(
        "any-2xx-delivers",
        "treats every 2xx as success",
        _rule("on-non-200"),
        _accepting(lambda status: 200 <= status < 300),
    ),
    FaultySender(
        "below-400-delivers",
        "treats every status below 400 as success, like raise_for_status",
        _rule("on-non-200"),
        _accepting(lambda status: status < 400),
    ),
    FaultySender(
        "4xx-is-final",
        "gives up on a message after a 4xx",
        _rule("on-non-200"),
        _giving_up(_is_client_error),
    ),
    FaultySender(
        "follows-redirects",
        "follows redirects and takes the last answer for the receiver's",
        _rule("no-redirect", "on-non-200"),
        SenderBehaviour(exchange=_follow_redirects),
    ),
    FaultySender(
        "follows-307-and-308",
        "follows a 307 or 308 redirect",
        _rule("no-redirect"),
        SenderBehaviour(exchange=_follow_307_and_308),
    ),
    FaultySender(
        "reads-the-answer",
        "treats a 200 with an error in its body as a failure",
        _rule("status-alone"),
        SenderBehaviour(exchange=partial(_check_body, fits=_holds_no_error)),
    ),
    FaultySender(
        "expects-json",
        "treats a 200 whose body is not JSON as a failure",
        _rule("status-alone"),
        SenderBehaviour(exchange=partial(_check_body, fits=_is_json)),
    ),
    FaultySender(
        "timeout-is-final",
        "does not retry after a timeout",
        _rule("on-timeout"),
        _giving_up(_is_timeout),
    ),
    FaultySender(
        "fault-is-final",
        "retries after a bad status, but not when the connection fails",
        _rule("on-connection-fault"),
        _giving_up(_is_connection_fault),
    ),
    FaultySender(
        "reset-is-final",
        "does not retry when the connection breaks after the request was sent",
        _rule("on-connection-fault"),
        _giving_up(_is_reset),
    ),
    FaultySender(
        "head-is-enough",
        "decides by the head of an answer and does not wait for the rest",
        (*_rule("on-connection-fault[half]"), "sender.time.deadline[dripping]"),
        SenderBehaviour(exchange=_read_head),
    ),
    FaultySender(
        "count-is-attempts",
        "treats RetryCount as the number of attempts",
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
        "treats a RetryCount of 0 as absent",
        _rule("count"),
        SenderBehaviour(read=_default_zero),
    ),
    FaultySender(
        "one-deadline-for-all",
        "has one deadline for all attempts together",
        _rule("count", "on-timeout"),
        _share_deadline,
    ),
    FaultySender(
        "faults-for-free",
        "does not count attempts whose connection broke",
        _rule("count[drawn]"),
        _ignore_connection_faults,
    ),
    FaultySender(
        "timer-left-running",
        "sends a message once more after a retry was answered 200",
        _rule("none-after-200"),
        SenderBehaviour(outcome=_leave_timer),
    ),
    FaultySender(
        "new-id-on-retry",
        "changes the msgId on every retry",
        _rule("same-message"),
        partial(retrying, _change_id),
    ),
    FaultySender(
        "signature-kept",
        "updates the timestamp on a retry but not the signature",
        _rule("same-message"),
        _reuse_signature,
    ),
)
