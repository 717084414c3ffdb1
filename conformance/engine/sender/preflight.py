"""Before the suite: does the sender's API answer, do its deliveries arrive, how does it sign, and how long
do its messages and its retries take?

What it learns goes into the session's profile. A cause that would break every case becomes one Stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from conformance.checks.sender.api import configuration_of, message, succeeded
from conformance.checks.sender.signing import scheme_of
from conformance.checks.sender.waits import waits
from conformance.engine.exchanges import NO_TLS, speaks_no_tls
from conformance.engine.lifecycle import Stop
from conformance.engine.sender.emitter import EmittedMessage, accepted
from conformance.engine.sender.registrations import CHANNELS, Registration, SenderPeer, scripted
from conformance.engine.sender.session import BEFORE, SenderSession
from conformance.engine.sender.steps import by_message
from conformance.model.exchange import Exchange, Fault
from conformance.model.sentence import EMPTY, Sentence, verbatim
from conformance.protocol.message import TYPES
from conformance.receiver.mock import MockEndpoint
from conformance.scenario.sender import OK, Emit, Endpoint, ScriptedAnswer

PATIENCE = 20.0
"""Seconds within which the very first message must arrive."""
SHARE = 0.4
"""The share of the run's time that is spent at most on waiting for a first retry."""
MOST_RETRY_SECONDS = 45.0
SAMPLE = 8
"""Messages whose waits are measured."""

HANG = ScriptedAnswer(fault="hang")
FAILING = (ScriptedAnswer(500), ScriptedAnswer(500), OK)
ALL_KINDS = {"MessageTypes": [str(TYPES[kind]) for kind in CHANNELS]}
"""The settings with which a message of any kind arrives."""


async def run_preflight(peer: SenderPeer) -> Stop | None:
    """Learn about the sender and complete the session's profile. Returns a Stop when nothing can be
    judged."""
    session = peer.session
    stop = await _probe_sender(peer)
    if stop is not None and "http" in session.mocks and not _has_arrivals(peer):
        # If https is the cause, the same steps succeed over http.
        session.mocks[""] = session.mocks.pop("http")
        return await _probe_sender(peer)
    return stop


async def _probe_sender(peer: SenderPeer) -> Stop | None:
    session = peer.session
    registration = await peer.registrations.configure(Endpoint(configure=ALL_KINDS), BEFORE)
    try:
        stop = _unusable_api(session)
        if stop is None:
            stop = await _reach(peer, registration)
        if stop is None and session.options.emits:
            stop = await _deliver(peer, registration)
        if stop is None:
            await _learn_several(peer, registration)
        if stop is None and session.profile.emits:
            await _learn_retries(peer, registration)
        return stop
    finally:
        peer.registrations.record_arrivals(registration)
        await asyncio.shield(peer.registrations.unregister(registration))


def _has_arrivals(peer: SenderPeer) -> bool:
    return any(registration.endpoint.arrivals for registration in peer.registrations.all)


def _unusable_api(session: SenderSession) -> Stop | None:
    """Why the configuration could not be created; None when it was."""
    calls = [
        each for each in session.trace if each.request.url.partition("?")[0].endswith("Config")
    ]
    created = calls[-1]  # the call over http, where https has failed
    text = Sentence("POST {url}: ", url=created.request.url)
    if succeeded(created):
        page = created.answer is not None and created.answer.body.lstrip().startswith(b"<")
        return Stop("api-answers-page", text + _PAGE + _BASE, (created.id,)) if page else None
    if created.status is None:
        reason = NO_TLS if speaks_no_tls(created) else _FAULTS.get(created.fault, _NO_ANSWER)
        return Stop("api-unreached", text + reason, (created.id,))
    words = message(created)
    text += Sentence("answered {status}", status=created.status)
    text += Sentence(" ({answer})", answer=words) if words else EMPTY
    if created.status in (401, 403):
        return Stop("api-refuses-key", text + _KEY, (created.id,))
    if created.status in (404, 405):
        return Stop("api-not-found", text + _BASE, (created.id,))
    return Stop("no-configuration", text, (created.id,), fail=True)


async def _reach(peer: SenderPeer, registration: Registration) -> Stop | None:
    """Call Test and learn the scheme of what arrives. A Stop when nothing does, unless a message may."""
    session = peer.session
    tested = await session.call("Test", BEFORE, id=registration.ident)
    session.profile = replace(session.profile, reports_tests=succeeded(tested))
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
    text = Sentence("Test answered: {answer}. ", answer=words)
    return Stop(
        "nothing-arrived", _NOTHING_ARRIVED + text + _where(session, registration), (tested.id,)
    )


async def _deliver(peer: SenderPeer, registration: Registration) -> Stop | None:
    """Emit a message and learn how long its delivery takes. A Stop when it is not accepted or does not
    arrive."""
    session = peer.session
    delivery, emitted = await _emit_one(peer, registration)
    if not accepted(emitted):
        return Stop("event-refused", _NOT_ACCEPTED + _answer_to(emitted) + _EMIT, (emitted.id,))
    if delivery is None:
        # Some senders do not understand a list of types: then every case is judged with "*".
        registration.settings["MessageTypes"] = ["*"]
        await peer.registrations.submit(registration, BEFORE)
        delivery, emitted = await _emit_one(peer, registration)
        if delivery is not None:
            session.profile = replace(session.profile, lists_types=False)
    if delivery is None:
        return Stop("not-delivered", _LOST + _where(session, registration), (emitted.id,))
    if session.profile.scheme is None:
        _learn_scheme(session, delivery)
    session.profile = replace(
        session.profile, emits=True, latency=max(0.0, delivery.started - emitted.ended)
    )
    return None


async def _emit_one(
    peer: SenderPeer, registration: Registration
) -> tuple[Exchange | None, Exchange]:
    """Emit one message: its first delivery, if it arrives, and the call that emitted it."""
    session = peer.session
    event = peer.emitter.events(Emit(), registration.kind)[0]
    registration.endpoint.assign([event.msg_id], scripted((OK,)))
    emitted = await peer.emitter.emit(event, BEFORE)
    if accepted(emitted):
        await _arrival(session, registration, event, PATIENCE)
    attempts = by_message(registration.endpoint)[event.msg_id]
    return (attempts[0] if attempts else None), emitted


async def _learn_several(peer: SenderPeer, first: Registration) -> None:
    """Does the sender keep a second configuration and serve both, does an endpoint that hangs delay the
    other, and does Test go to the configuration whose ID it gets?"""
    session = peer.session
    second = await peer.registrations.configure(Endpoint(configure=ALL_KINDS), BEFORE)
    try:
        listed = await session.call("List", BEFORE)
        in_list = [
            configuration_of(listed, each.endpoint.url) is not None for each in (first, second)
        ]
        session.profile = replace(session.profile, lists=any(in_list), lists_several=all(in_list))
        before = len(first.endpoint.arrivals)
        await session.call("Test", BEFORE, id=second.ident)
        # Without an ID, Test may mean the newest configuration, or all of them.
        only_second = second.ident is not None and len(first.endpoint.arrivals) == before
        by_id = only_second and bool(second.endpoint.arrivals)
        session.profile = replace(session.profile, tests_by_id=by_id)
        # A list with only the second one means that the first was replaced.
        if session.profile.emits and in_list != [False, True]:
            await _learn_isolation(peer, first, second)
    finally:
        peer.registrations.record_arrivals(second)
        await peer.registrations.unregister(second)
    if not session.profile.lists_several:  # the first one was replaced
        await peer.registrations.submit(first, BEFORE)


async def _learn_isolation(peer: SenderPeer, first: Registration, second: Registration) -> None:
    session = peer.session
    event = peer.emitter.events(Emit(), first.kind)[0]
    # The first one hangs, since a sender with a single worker serves it first.
    first.endpoint.assign([event.msg_id], scripted((HANG, OK)))
    second.endpoint.assign([event.msg_id], scripted((OK,)))
    await peer.emitter.emit(event, BEFORE)
    registrations = (first, second)
    soon = session.profile.quiet
    for registration in registrations:
        await _arrival(session, registration, event, soon)
    arrived = [_has(registration.endpoint, event) for registration in registrations]
    if all(arrived):
        session.profile = replace(session.profile, delivers_several=True, isolates=True)
        return
    # It may arrive once the sender gives up the one that hangs.
    late = first if arrived[1] else second
    await _arrival(session, late, event, session.profile.arrival)
    session.profile = replace(session.profile, delivers_several=_has(late.endpoint, event))


async def _learn_retries(peer: SenderPeer, registration: Registration) -> None:
    """How long does the sender wait after a first failure, and after a second?"""
    session = peer.session
    events = peer.emitter.events(Emit(messages=SAMPLE), registration.kind)
    registration.endpoint.assign([e.msg_id for e in events], scripted(FAILING))
    await asyncio.gather(*(peer.emitter.emit(event, BEFORE) for event in events))
    patience = min(MOST_RETRY_SECONDS, SHARE * session.options.timeout)

    def all_done() -> bool:
        attempts = by_message(registration.endpoint)
        return all(len(attempts[event.msg_id]) >= len(FAILING) for event in events)

    def any_retried() -> bool:
        return any(len(attempts) > 1 for attempts in by_message(registration.endpoint).values())

    begin = session.clock.monotonic()
    await _until(session, registration.endpoint, any_retried, patience)
    first_wait = session.clock.monotonic() - begin
    if any_retried():
        limit = min(patience, 8 * first_wait + 1.0)
        await _until(session, registration.endpoint, all_done, limit)
    measured = [waits(by_message(registration.endpoint)[event.msg_id]) for event in events]
    first_waits = tuple(each[0] for each in measured if each)
    second_waits = tuple(each[1] for each in measured if len(each) > 1)
    session.profile = replace(
        session.profile, waits=(first_waits, second_waits), retry_watch=patience
    )


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


def _learn_scheme(session: SenderSession, delivery: Exchange) -> None:
    scheme = scheme_of(delivery, session.profile.requested)
    session.profile = replace(session.profile, scheme=scheme)


def _answer_to(emitted: Exchange) -> Sentence:
    if emitted.fault is None:
        words = message(emitted)
        text = f"{emitted.status}: {words}" if words else f"{emitted.status}"
        return verbatim(text)
    return _FAULTS.get(emitted.fault, verbatim(emitted.detail))


def _where(session: SenderSession, registration: Registration) -> Sentence:
    url = registration.endpoint.url
    text = Sentence("It should send to {url}. ", url=url)
    if session.options.public_url is None and session.options.is_remote:
        return text + _LISTEN
    return text + _CHECK if session.options.emits else text


_FAULTS: dict[Fault | None, Sentence] = {
    Fault.DNS: Sentence("the host name does not resolve"),
    Fault.REFUSED: Sentence("nothing listens there"),
    Fault.TIMEOUT: Sentence("no answer in time"),
    Fault.TLS: Sentence("the TLS handshake failed (--ca)"),
}
_NO_ANSWER = Sentence("no HTTP answer")
_PAGE = Sentence("answered with a web page")
_KEY = Sentence("; it may need --api-key")
_BASE = Sentence(
    "; API_URL is the base of Config, List, Test and Update, as in http://localhost:8080/v1/webhook"
)
_NOTHING_ARRIVED = Sentence("Nothing arrived. ")
_NOT_ACCEPTED = Sentence("A message event was not accepted: ")
_EMIT = Sentence(". Check --emit-url or --emit-command.")
_LOST = Sentence("A message event was accepted, but no delivery arrived. ")
_LISTEN = Sentence("Can it reach this machine? See --listen and --public-url.")
_CHECK = Sentence("Does --emit-url or --emit-command hand the event to the service under test?")
