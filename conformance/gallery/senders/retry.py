"""Senders that misread an answer, or retry wrongly.

Rules: sender.retry.*, except those of pace.py
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import aiohttp

from conformance.gallery.peer import Faults, row
from conformance.gallery.senders.serve import SENDER
from conformance.gallery.senders.steps import msg_id
from conformance.protocol import configuration as config
from conformance.protocol.configuration import Configuration
from conformance.protocol.delivery import DeliveryEvent, deadline
from conformance.protocol.dialect import Dialect
from conformance.protocol.encodings import compact
from conformance.sender.attempt import Answer, AttemptReply, Outgoing, compose, exchange
from conformance.sender.behaviour import SenderBehaviour, outcome
from conformance.sender.queue import Waiting

faulty = Faults("sender.retry", SENDER)


@faulty(
    "on-non-200",
    step="outcome",
    rows=(
        row("any-2xx-delivers", "every 2xx as success", accepted=range(200, 300)),
        row(
            "below-400-delivers",
            "every status below 400 as success, like raise_for_status",
            accepted=range(400),
        ),
    ),
)
def _accept_more(
    waiting: Waiting, reply: AttemptReply, configuration: Configuration, *, accepted: range
) -> DeliveryEvent:
    """Treats {}."""
    if reply.status in accepted:
        return DeliveryEvent.ACCEPTED
    return outcome(waiting, reply, configuration)


def _is_client_error(reply: AttemptReply, configuration: Configuration) -> bool:
    return reply.status is not None and 400 <= reply.status < 500


def _is_timeout(reply: AttemptReply, configuration: Configuration) -> bool:
    return reply.status is None and reply.elapsed > 0.9 * deadline(configuration.timeout)


def _is_connection_fault(reply: AttemptReply, configuration: Configuration) -> bool:
    return reply.status is None and not _is_timeout(reply, configuration)


def _is_reset(reply: AttemptReply, configuration: Configuration) -> bool:
    return "closed the connection" in (reply.problem or "")


@faulty(
    "on-connection-fault",
    step="outcome",
    rows=(
        row(
            "4xx-is-final",
            "gives up on a message after a 4xx",
            "on-non-200",
            final=_is_client_error,
        ),
        row("timeout-is-final", "does not retry after a timeout", "on-timeout", final=_is_timeout),
        row(
            "fault-is-final",
            "retries after a bad status, but not when the connection fails",
            final=_is_connection_fault,
        ),
        row(
            "reset-is-final",
            "does not retry when the connection breaks after the request was sent",
            final=_is_reset,
        ),
    ),
)
def _give_up(
    waiting: Waiting,
    reply: AttemptReply,
    configuration: Configuration,
    *,
    final: Callable[[AttemptReply, Configuration], bool],
) -> DeliveryEvent:
    """Does not retry after a failure that it takes for `final`."""
    result = outcome(waiting, reply, configuration)
    hopeless = result is DeliveryEvent.REFUSED and final(reply, configuration)
    return DeliveryEvent.EXHAUSTED if hopeless else result


@faulty("no-redirect", "on-non-200", step="exchange")
async def follows_redirects(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    """Follows redirects and takes the last answer for the receiver's.

    What HTTP clients do by default.
    """
    async with session.request(
        request.method, request.url, data=request.body, headers=request.headers
    ) as answer:
        await answer.read()
        return Answer(answer.status, None, answer.headers.get("Retry-After"))


@faulty("no-redirect", step="exchange")
async def follows_307_and_308(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    """Follows a 307 or 308 redirect."""
    answer = await exchange(session, request)
    if answer.status in (307, 308) and answer.location is not None:
        url = request.url.join(type(request.url)(answer.location))
        return await exchange(session, replace(request, url=url))
    return answer


def _unfollowed(
    session: aiohttp.ClientSession, request: Outgoing
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    return session.request(
        request.method,
        request.url,
        data=request.body,
        headers=request.headers,
        allow_redirects=False,
    )


@faulty("on-connection-fault[half]", "sender.time.deadline[dripping]", step="exchange")
async def head_is_enough(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
    """Decides by the head of an answer and does not wait for the rest."""
    async with _unfollowed(session, request) as answer:
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


@faulty(
    "status-alone",
    step="exchange",
    rows=(
        row("reads-the-answer", "with an error in its body", fits=_holds_no_error),
        row("expects-json", "whose body is not JSON", fits=_is_json),
    ),
)
async def _check_body(
    session: aiohttp.ClientSession, request: Outgoing, *, fits: Callable[[bytes], bool]
) -> Answer:
    """Treats a 200 {} as a failure."""
    async with _unfollowed(session, request) as answer:
        body = await answer.read()
        if answer.status == 200 and not fits(body):
            raise ValueError("the answer is not what was expected")
        return Answer(answer.status, None, answer.headers.get("Retry-After"))


@faulty(
    "count",
    step="outcome",
    rows=(
        row(
            "count-is-attempts",
            "treats RetryCount as the number of attempts",
            change=lambda count: max(0, count - 1),
        ),
        row(
            "one-retry-more",
            "makes one retry more than RetryCount",
            change=lambda count: count + 1,
        ),
    ),
)
def _retry_as_often(
    waiting: Waiting,
    reply: AttemptReply,
    configuration: Configuration,
    *,
    change: Callable[[int], int],
) -> DeliveryEvent:
    """Retries as if RetryCount were `change(RetryCount)`."""
    count = change(configuration.retry_count)
    return outcome(waiting, reply, replace(configuration, retry_count=count))


@faulty("count", step="read")
def no_retries_is_three(body: object, base: Configuration | None) -> Configuration:
    """Treats a RetryCount of 0 as absent.

    `retries = body.RetryCount || 3`.
    """
    configuration = config.read(body, base)
    return replace(configuration, retry_count=configuration.retry_count or 3)


@faulty("count", "on-timeout", step="outcome", state=dict)
def one_deadline_for_all(
    starts: dict[int, float], waiting: Waiting, reply: AttemptReply, configuration: Configuration
) -> DeliveryEvent:
    """Has one deadline for all attempts together.

    One timeout around the whole loop of attempts.
    """
    now = time.monotonic()
    start = starts.setdefault(waiting.id, now - reply.elapsed)
    result = outcome(waiting, reply, configuration)
    over = now - start >= deadline(configuration.timeout)
    return DeliveryEvent.EXHAUSTED if result is DeliveryEvent.REFUSED and over else result


@faulty("count[drawn]", step="outcome", state=Counter)
def faults_for_free(
    broken: Counter[int], waiting: Waiting, reply: AttemptReply, configuration: Configuration
) -> DeliveryEvent:
    """Does not count attempts whose connection broke.

    The HTTP library resends by itself, and nothing counts that.
    """
    broken[waiting.id] += _is_connection_fault(reply, configuration)
    counted = replace(waiting, attempts=waiting.attempts - broken[waiting.id])
    return outcome(counted, reply, configuration)


@faulty("none-after-200", step="outcome")
def timer_left_running(
    waiting: Waiting, reply: AttemptReply, configuration: Configuration
) -> DeliveryEvent:
    """Sends a message once more after a retry was answered 200.

    A retry that was scheduled before the first one was answered.
    """
    if reply.status == 200 and waiting.attempts == 1:
        return DeliveryEvent.REFUSED
    return outcome(waiting, reply, configuration)


@faulty("same-message", step="retry")
def new_id_on_retry(
    dialect: Dialect, configuration: Configuration, body: bytes, now: float
) -> Outgoing:
    """Changes the msgId on every retry.

    It generates the id where it builds the request.
    """
    message = json.loads(body)
    fresh = message | {"msgId": f"{message['msgId']}{int(now * 1000)}"}
    return compose(dialect, configuration, compact(fresh), now)


@faulty("same-message")
def signature_kept() -> SenderBehaviour:
    """Updates the timestamp on a retry but not the signature.

    It stores the signature with the message, but not the timestamp.
    """
    signatures: dict[tuple[str, str], str] = {}

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        request = compose(dialect, configuration, body, now)
        name = dialect.signature_header
        first = signatures.setdefault((configuration.url, msg_id(body)), request.headers[name])
        return replace(request, headers=request.headers | {name: first})

    return SenderBehaviour(compose=composed)
