"""Before the suite: does the sender's API answer, does what it sends arrive, how does it sign, and how
long do its messages and its retries take? What one cause breaks everywhere is one finding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from conformance.checks.sender.api import configuration_of, message, succeeded
from conformance.checks.sender.signing import scheme_of
from conformance.checks.sender.waits import waits
from conformance.engine.sender.session import (
    BEFORE,
    CHANNELS,
    EmittedMessage,
    Registration,
    SenderSession,
    accepted,
)
from conformance.engine.sender.steps import by_message
from conformance.engine.stop import NO_TLS, Stop, speaks_no_tls
from conformance.model.exchange import Exchange, Fault
from conformance.model.text import NO_TEXT, Text
from conformance.protocol.message import TYPES
from conformance.receiver.mock import MockEndpoint
from conformance.scenario.sender import OK, Emit, Endpoint, ScriptedAnswer

PATIENCE = 20.0
"""Seconds in which the first message of all must arrive."""
SHARE = 0.4
"""Of the run's time: what is spent on waiting for a first retry, at most."""
MOST_RETRY_SECONDS = 45.0
SAMPLE = 8
"""Messages whose waits are looked at."""

HANG = ScriptedAnswer(fault="hang")
FAILING = (ScriptedAnswer(500), ScriptedAnswer(500), OK)
LISTED = {"MessageTypes": [str(TYPES[kind]) for kind in CHANNELS]}
"""So that a message of any kind arrives."""


async def diagnose(session: SenderSession) -> Stop | None:
    """Find out what the judging rests on; a Stop when nothing can be judged."""
    stop = await _diagnose(session)
    if stop is not None and "http" in session.mocks and not _arrived(session):
        # Whether https is the cause shows when the rest is judged over http.
        session.mocks[""] = session.mocks.pop("http")
        return await _diagnose(session)
    return stop


async def _diagnose(session: SenderSession) -> Stop | None:
    registration = await session.configure(Endpoint(configure=LISTED), BEFORE)
    try:
        stop = _unusable(session)
        if stop is None:
            stop = await _reach(session, registration)
        if stop is None and session.options.emits:
            stop = await _deliver(session, registration)
        if stop is None:
            await _keeps_several(session, registration)
        if stop is None and session.profile.emits:
            await _retries(session, registration)
        return stop
    finally:
        session.take(registration)
        await asyncio.shield(session.unregister(registration))


def _arrived(session: SenderSession) -> bool:
    return any(registration.endpoint.arrivals for registration in session.posts)


def _unusable(session: SenderSession) -> Stop | None:
    """Why the configuration could not be created, if it could not."""
    calls = [
        each for each in session.trace if each.request.url.partition("?")[0].endswith("Config")
    ]
    created = calls[-1]  # over http, where https has failed
    said = Text(f"POST {created.request.url}: ", f"POST {created.request.url}：")
    if succeeded(created):
        page = created.answer is not None and created.answer.body.lstrip().startswith(b"<")
        return Stop(said + _PAGE + _BASE, False, (created.id,)) if page else None
    if created.status is None:
        why = NO_TLS if speaks_no_tls(created) else _FAULTS.get(created.fault, _NO_ANSWER)
        return Stop(said + why, False, (created.id,))
    words = message(created)
    said += Text(f"answered {created.status}", f"響應 {created.status}")
    said += Text(f" ({words})", f"（{words}）") if words else NO_TEXT
    if created.status in (401, 403):
        return Stop(said + _KEY, False, (created.id,))
    if created.status in (404, 405):
        return Stop(said + _BASE, False, (created.id,))
    return Stop(said, True, (created.id,), rule="sender.config.create-list")


async def _reach(session: SenderSession, registration: Registration) -> Stop | None:
    """A Test, which must arrive, unless a message does; and the way in which it is signed."""
    tested = await session.call("Test", BEFORE, id=registration.ident)
    await _until(
        session,
        registration.endpoint,
        lambda: bool(registration.endpoint.arrivals),
        session.profile.arrival,
    )
    if registration.endpoint.arrivals:
        _learn_scheme(session, registration.endpoint.arrivals[0])
        return None
    if session.options.emits and "http" not in session.mocks:
        return None
    words = message(tested) or str(tested.status or tested.detail)
    said = Text(f"Test says: {words}. ", f"測試的響應：{words}。")
    return Stop(_NOTHING_CAME + said + _where(session, registration), False, (tested.id,))


async def _deliver(session: SenderSession, registration: Registration) -> Stop | None:
    """A message that the sender is given arrives; how long that takes."""
    came, emitted = await _try(session, registration)
    if not accepted(emitted):
        return Stop(_NOT_ACCEPTED + _said_by(emitted) + _EMIT, False, (emitted.id,))
    if came is None:
        # Some know no listed types: then everything else is judged with "*".
        registration.settings["MessageTypes"] = ["*"]
        await session.submit(registration, BEFORE)
        came, emitted = await _try(session, registration)
        if came is not None:
            session.profile = replace(session.profile, lists_types=False)
    if came is None:
        return Stop(_LOST + _where(session, registration), False, (emitted.id,))
    if session.profile.scheme is None:
        _learn_scheme(session, came)
    session.profile = replace(
        session.profile, emits=True, latency=max(0.0, came.started - emitted.ended)
    )
    return None


async def _try(
    session: SenderSession, registration: Registration
) -> tuple[Exchange | None, Exchange]:
    event = session.events(Emit(), registration.kind)[0]
    registration.endpoint.assign([event.msg_id], session.answers((OK,), None))
    emitted = await session.emit(event, BEFORE)
    if accepted(emitted):
        await _arrival(session, registration, event, PATIENCE)
    attempts = by_message(registration.endpoint)[event.msg_id]
    return (attempts[0] if attempts else None), emitted


async def _keeps_several(session: SenderSession, first: Registration) -> None:
    """Whether the sender keeps a second configuration beside the first and serves both, whether one
    that hangs delays the other, and whether Test goes where it is told to."""
    second = await session.configure(Endpoint(configure=LISTED), BEFORE)
    try:
        listed = await session.call("List", BEFORE)
        shown = [
            configuration_of(listed, each.endpoint.url) is not None for each in (first, second)
        ]
        session.profile = replace(session.profile, lists_several=all(shown))
        before = len(first.endpoint.arrivals)
        await session.call("Test", BEFORE, id=second.ident)
        # Without an ID the newest may have been meant, or all of them.
        named = second.ident is not None and len(first.endpoint.arrivals) == before
        by_id = named and bool(second.endpoint.arrivals)
        session.profile = replace(session.profile, tests_by_id=by_id)
        # A list that shows the second alone says that there is no other.
        if session.profile.emits and shown != [False, True]:
            await _serves_both(session, first, second)
    finally:
        session.take(second)
        await session.unregister(second)
    if not session.profile.lists_several:  # the first one was replaced
        await session.submit(first, BEFORE)


async def _serves_both(session: SenderSession, first: Registration, second: Registration) -> None:
    event = session.events(Emit(), first.kind)[0]
    # While the first one hangs: it is served first by a sender that has one worker.
    first.endpoint.assign([event.msg_id], session.answers((HANG, OK), None))
    second.endpoint.assign([event.msg_id], session.answers((OK,), None))
    await session.emit(event, BEFORE)
    posts = (first, second)
    soon = session.profile.quiet
    for registration in posts:
        await _arrival(session, registration, event, soon)
    came = [_has(registration.endpoint, event) for registration in posts]
    if all(came):
        session.profile = replace(session.profile, delivers_several=True, isolates=True)
        return
    # It may come once the one that hangs is given up.
    late = first if came[1] else second
    await _arrival(session, late, event, session.profile.arrival)
    session.profile = replace(session.profile, delivers_several=_has(late.endpoint, event))


async def _retries(session: SenderSession, registration: Registration) -> None:
    """How long the sender waits after a first failure, and after a second."""
    events = session.events(Emit(messages=SAMPLE), registration.kind)
    registration.endpoint.assign([e.msg_id for e in events], session.answers(FAILING, None))
    await asyncio.gather(*(session.emit(event, BEFORE) for event in events))
    given = min(MOST_RETRY_SECONDS, SHARE * session.options.timeout)

    def done() -> bool:
        came = by_message(registration.endpoint)
        return all(len(came[event.msg_id]) >= len(FAILING) for event in events)

    def some() -> bool:
        return any(len(attempts) > 1 for attempts in by_message(registration.endpoint).values())

    begin = session.clock.monotonic()
    await _until(session, registration.endpoint, some, given)
    first = session.clock.monotonic() - begin
    if some():
        await _until(session, registration.endpoint, done, min(given, 8 * first + 1.0))
    seen = [waits(by_message(registration.endpoint)[event.msg_id]) for event in events]
    firsts = tuple(each[0] for each in seen if each)
    seconds = tuple(each[1] for each in seen if len(each) > 1)
    session.profile = replace(session.profile, waits=(firsts, seconds), retry_watch=given)


async def _arrival(
    session: SenderSession, registration: Registration, event: EmittedMessage, seconds: float
) -> None:
    await _until(
        session, registration.endpoint, lambda: _has(registration.endpoint, event), seconds
    )


def _has(endpoint: MockEndpoint, event: EmittedMessage) -> bool:
    return bool(by_message(endpoint)[event.msg_id])


async def _until(
    session: SenderSession, endpoint: MockEndpoint, done: Callable[[], bool], seconds: float
) -> None:
    until = session.clock.monotonic() + seconds
    await session.until(endpoint, lambda: None if done() else until)


def _learn_scheme(session: SenderSession, came: Exchange) -> None:
    scheme = scheme_of(came, session.profile.asked)
    session.profile = replace(session.profile, scheme=scheme)


def _said_by(emitted: Exchange) -> Text:
    if emitted.fault is None:
        words = message(emitted)
        what = f"{emitted.status}: {words}" if words else f"{emitted.status}"
        return Text(what, what)
    return _FAULTS.get(emitted.fault, Text(emitted.detail, emitted.detail))


def _where(session: SenderSession, registration: Registration) -> Text:
    url = registration.endpoint.url
    said = Text(f"It was told to send to {url}. ", f"它應發送到 {url}。")
    if session.options.public_url is None and session.options.is_remote:
        return said + _LISTEN
    return said + _CHECK if session.options.emits else said


_FAULTS: dict[Fault | None, Text] = {
    Fault.DNS: Text("the host name does not resolve", "無法解析主機名稱"),
    Fault.REFUSED: Text("nothing listens there", "沒有程式在監聽"),
    Fault.TIMEOUT: Text("no answer in time", "沒有及時響應"),
    Fault.TLS: Text("the TLS handshake failed (--ca)", "TLS 交握失敗（--ca）"),
}
_NO_ANSWER = Text("no answer that is HTTP", "沒有 HTTP 響應")
_PAGE = Text("answered with a page", "響應是一個網頁")
_KEY = Text("; it may need --api-key", "；可能需要 --api-key")
_BASE = Text(
    "; API_URL is the base of Config, List, Test and Update, as in http://localhost:8080/v1/webhook",
    "；API_URL 是 Config、List、Test、Update 的共同前綴，例如 http://localhost:8080/v1/webhook",
)
_NOTHING_CAME = Text("Nothing arrived. ", "沒有收到任何請求。")
_NOT_ACCEPTED = Text("A message event was not accepted: ", "訊息事件未被接受：")
_EMIT = Text(". Look at --emit-url or --emit-command.", "。請檢查 --emit-url 或 --emit-command。")
_LOST = Text("A message event was accepted, and did not arrive. ", "訊息事件已被接受，但沒有送達。")
_LISTEN = Text(
    "Can it reach this machine? See --listen and --public-url.",
    "它能連到這台機器嗎？請見 --listen 與 --public-url。",
)
_CHECK = Text(
    "Does --emit-url or --emit-command hand the event to the service under test?",
    "--emit-url 或 --emit-command 是否確實把事件交給了受測的服務？",
)
