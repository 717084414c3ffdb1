"""Before the suite: do target, path, secret and dialect fit, and how does an answer to a repeat differ?

Sends a few plain valid messages, one at a time. When they are refused, tries the other signature schemes,
so that one cause is reported once. What it learns goes into the session's profile; what stops the run
becomes a Stop, in one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conformance.checks.receiver.case import count
from conformance.checks.receiver.inferred_observer import infer_observer
from conformance.checks.receiver.wording import answered
from conformance.engine.exchanges import NO_TLS, Place, speaks_no_tls
from conformance.engine.lifecycle import Stop
from conformance.engine.receiver.compose import ComposedRequest
from conformance.engine.receiver.session import BETWEEN, PLAIN, Session
from conformance.model.exchange import Answer, Exchange, Fault, Role
from conformance.model.sentence import Sentence
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.message import TYPES
from conformance.protocol.schemes import REWRITTEN, Scheme, others
from conformance.protocol.signing import Signed
from conformance.scenario import dialects
from conformance.scenario.receiver import Send

PLAIN_MESSAGES = 3
RESTART_SECONDS = 3.0
"""Seconds that a dead target gets to be started again, by whatever supervises it."""
PAUSE = 0.3
"""Seconds before a target that did not accept a plain message is asked again."""
BEFORE = Place(case="before")
AFTER = Place(case="after")
# First messages (F) and immediate repeats (R) in an aperiodic order, so that answers which alternate by
# themselves (two instances behind a balancer) are not mistaken for the difference.
LEARNING = "FR F FR FR F FR"
# Contains what JSON encoders escape differently, so that one is not mistaken for another.
TELLTALE = "測試 <1 & 2/3>"


async def run_preflight(session: Session) -> Stop | None:
    """Learn about the target and complete the session's profile. Returns a Stop when the suite cannot be
    run."""
    plain = [await _first_plain(session)]
    if plain[0].fault is None:
        plain += [await session.plain(Role.PLAIN, BEFORE) for _ in range(PLAIN_MESSAGES - 1)]
        await _look_for_single_use(session, plain)
    stop = await _understand(session, plain)
    if stop is not None:
        return stop
    if not any(each.status in session.profile.accepted for each in plain):
        plain = [await session.plain(Role.PREFLIGHT, BEFORE) for _ in range(PLAIN_MESSAGES)]
    await _look_for_rewriting(session)
    forged = session.compose(Send(tampering="wrong-secret"))
    refused = await session.exchange(forged, Role.PREFLIGHT, BEFORE)
    session.profile = replace(session.profile, refusal=(refused.status, refused.fault))
    await _learn_observer(session)
    if session.options.observer_url is not None:
        await _look_at_observer(session, plain)
    return None


async def _first_plain(session: Session) -> Exchange:
    first = await session.plain(Role.PLAIN, BEFORE)
    if first.fault is Fault.TLS and "certificate" in first.detail.lower():
        session.profile = replace(session.profile, certificate=first.detail)
        session.send_options = replace(session.send_options, trusting=True)
        return await session.plain(Role.PLAIN, BEFORE)
    if first.fault is Fault.GARBAGE:
        session.send_options = replace(session.send_options, pooled=False)
        return await session.plain(Role.PLAIN, BEFORE)
    if first.fault is Fault.CLOSED:  # perhaps a server that is just starting
        return await session.plain(Role.PLAIN, BEFORE)
    return first


async def _look_for_single_use(session: Session, plain: Sequence[Exchange]) -> None:
    """A target that accepts only the first request on a connection fails everything sent over a pool.
    receiver.http.keep-alive reports it; every other request gets a fresh connection."""
    accepted = [exchange.status in session.profile.accepted for exchange in plain]
    if not accepted[0] or all(accepted):
        return
    shared = session.send_options
    session.send_options = replace(shared, reused=False)
    fresh = [await session.plain(Role.PREFLIGHT, BEFORE) for _ in range(PLAIN_MESSAGES)]
    if not all(exchange.status in session.profile.accepted for exchange in fresh):
        session.send_options = shared


async def _understand(session: Session, plain: Sequence[Exchange]) -> Stop | None:
    """What the answers to plain messages mean: accepted, accepted with another 2xx, refused for a cause
    that is put into the profile, or a Stop."""
    profile = session.profile
    statuses = {exchange.status for exchange in plain}
    if statuses & profile.accepted:
        return None
    ids = tuple(exchange.id for exchange in plain)
    if all(exchange.status is None for exchange in plain):
        return Stop("unreached", _unreached(plain[-1], session), ids)
    status = plain[-1].status or 0
    if len(statuses) == 1 and 200 <= status < 300:
        session.profile = replace(profile, accepted=profile.accepted | {status})
        return None
    if status not in (404, 405, 429) and not 300 <= status < 400:
        scheme = await _other_scheme(session)
        if scheme is not None:
            # A target that was only warming up accepts the requested scheme by now.
            exchange = await session.plain(Role.PREFLIGHT, BEFORE)
            if exchange.status not in profile.accepted:
                session.profile = replace(profile, scheme=scheme)
            return None
    kind = await _other_kind(session)
    if kind is not None:
        session.profile = replace(profile, plain=kind)
        return None
    return Stop("plain-refused", _refused(plain[-1], session), ids, fail=status >= 500)


async def _other_scheme(session: Session) -> Scheme | None:
    """Another scheme in which the target accepts a message."""
    candidates = [dialects.load(name) for name in dialects.names()]
    for scheme in others(session.profile.scheme.signer, candidates):
        send = PLAIN if scheme.rewritten is None else Send(fields={"content": TELLTALE})
        exchange = await session.exchange(_signed(session, send, scheme), Role.PREFLIGHT, BEFORE)
        if exchange.status in session.profile.accepted:
            return scheme
    return None


async def _other_kind(session: Session) -> str | None:
    """A kind of message that the target accepts although it refuses a text."""
    for kind in TYPES:
        request = session.compose(Send(message=kind))
        exchange = await session.exchange(request, Role.PREFLIGHT, BEFORE)
        if exchange.status in session.profile.accepted:
            return kind
    return None


async def _look_for_rewriting(session: Session) -> None:
    """Does the target verify the signature over JSON that it has serialized again? An indented body
    shows it."""
    profile = session.profile
    if profile.scheme.rewritten is not None:
        return
    content = {"content": TELLTALE} if profile.plain == "text" else {}
    indented = Send(encoding="indented", fields=content)
    exchange = await session.exchange(session.compose(indented), Role.PREFLIGHT, BEFORE)
    if exchange.status in profile.accepted:
        return
    for form, text in REWRITTEN.items():
        scheme = Scheme(profile.scheme.signer, form, text)
        exchange = await session.exchange(
            _signed(session, indented, scheme), Role.PREFLIGHT, BEFORE
        )
        if exchange.status in profile.accepted:
            session.profile = replace(profile, scheme=scheme)
            return


def _signed(session: Session, send: Send, scheme: Scheme) -> ComposedRequest:
    """The request for `send`, signed by `scheme` over what that scheme signs; the body stays as it is."""
    original = session.compose(send)
    body = original.request.body
    to_sign = ENCODINGS[scheme.rewritten](original.fields) if scheme.rewritten is not None else body
    dialect = scheme.signer.dialect
    own = session.profile.scheme.signer.dialect
    replaced = {name.lower().encode() for name in (own.timestamp_header, own.signature_header)}
    stamp = dialect.timestamp(session.clock.now())
    signed: Signed = replace(scheme.signer.sign(stamp, to_sign), body=body)
    headers = (
        *(header for header in original.request.headers if header[0].lower() not in replaced),
        (dialect.timestamp_header.encode(), stamp),
        (dialect.signature_header.encode(), signed.signatures[0]),
    )
    request = replace(original.request, headers=headers)
    return ComposedRequest(original.msg_id, original.fields, request, signed)


async def _look_at_observer(session: Session, plain: Sequence[Exchange]) -> None:
    """Does the observer answer as it must, and show an effect? Otherwise it is of no use."""
    probe = next((each for each in plain if each.status in session.profile.accepted), plain[0])
    exchange = (await session.effects([str(probe.msg_id)], 1, BEFORE))[0]
    effects = count(exchange)
    if effects is None:
        expected = Sentence(' instead of 200 and {{"count": N}}: check --observer-url')
        blind = Sentence("the observer ") + answered(exchange) + expected
    elif effects == 0:
        blind = Sentence(
            "a plain message was accepted, but the observer shows no effect of it within 5 s: "
            "either --observer-url points elsewhere, or the target acknowledges what it does not "
            "process"
        )
    else:
        session.profile = replace(session.profile, observed=True)
        return
    session.profile = replace(session.profile, blind=blind, inferred=None)


async def _learn_observer(session: Session) -> None:
    """Do the answers themselves tell a repeat from a first message? These messages, one at a time, also
    show how fast the target answers."""
    firsts: list[Answer] = []
    repeats: list[Answer] = []
    request = session.compose(PLAIN)
    for mark in LEARNING.replace(" ", ""):
        repeat = Send(repeat_of="it")
        request = (
            session.compose(PLAIN) if mark == "F" else session.compose(repeat, {"it": request})
        )
        exchange = await session.exchange(request, Role.PREFLIGHT, BEFORE)
        if exchange.answer is not None and exchange.fault is None:
            (firsts if mark == "F" else repeats).append(exchange.answer)
    if firsts and repeats and all(each.status in session.profile.accepted for each in firsts):
        session.profile = replace(session.profile, inferred=infer_observer(firsts, repeats))


def _unreached(last: Exchange, session: Session) -> Sentence:
    url = session.options.url
    hints = {
        Fault.DNS: Sentence("check the host name"),
        Fault.REFUSED: Sentence("is the receiver running, on this port?"),
        Fault.TLS: Sentence("check the certificate, or whether it speaks https"),
        Fault.TIMEOUT: Sentence(
            "it accepts connections but does not answer: is something else listening there?"
        ),
        Fault.GARBAGE: Sentence("is it an HTTP server?"),
        Fault.CLOSED: Sentence("is it an HTTP server, and does it speak http rather than https?"),
    }
    hint = hints.get(last.fault or Fault.CLOSED, hints[Fault.CLOSED])
    reason = NO_TLS if speaks_no_tls(last) else answered(last) + Sentence("; {hint}", hint=hint)
    return Sentence("{url} cannot be judged: ", url=url) + reason


def _refused(last: Exchange, session: Session) -> Sentence:
    url, status = session.options.url, last.status or 0
    match status:
        case 404:
            hint = Sentence("check the path of the URL")
        case 405:
            hint = Sentence("the path does not accept POST: check it")
        case 429:
            hint = Sentence("a rate limit: lift it for the suite")
        case _ if 300 <= status < 400:
            hint = Sentence("use the URL that it redirects to")
        case _ if status >= 500:
            hint = Sentence("look at the receiver's log")
        case _:
            hint = _TRIED
    return Sentence(
        "every plain valid message to {url} was answered {status}: {hint}",
        url=url,
        status=status,
        hint=hint,
    )


_TRIED = Sentence(
    "check the secret, the clocks of both machines, an IP allow list, or headers that a "
    "gateway requires (--header). Tried without success: the dialects guide and "
    "timestamp-body; a dot, a newline or nothing between timestamp and body; the body "
    "alone or first; JSON serialized again (compact, with spaces, ASCII only, sorted, "
    "HTML or slash escapes); a secret decoded from hex or Base64; a Base64 digest"
)


async def is_alive(session: Session) -> bool:
    """Whether a plain valid message is accepted between two cases. A dead target has RESTART_SECONDS to
    be started again, and a slow one gets a second try: the first message may have queued behind those of
    other cases."""
    begin, tries = session.clock.monotonic(), 0
    while True:
        exchange = await session.plain(Role.CONTROL, BETWEEN)
        if exchange.status in session.profile.accepted:
            return True
        tries += 1
        seconds = session.clock.monotonic() - begin - session.stalls.lost(begin)
        if tries > 1 and seconds >= RESTART_SECONDS:
            return False
        await session.clock.sleep(PAUSE)


async def send_final_message(session: Session) -> None:
    """After the suite: send plain valid messages until one is accepted, a few at most."""
    for _ in range(PLAIN_MESSAGES):
        exchange = await session.plain(Role.PLAIN, AFTER)
        if exchange.status in session.profile.accepted:
            return
        await session.clock.sleep(PAUSE)
