"""All receivers of the gallery as peers, each served over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from conformance.gallery.peer import Faulty, Peer, rules_to_run
from conformance.gallery.receivers.accepts import ACCEPTS
from conformance.gallery.receivers.body import BODY
from conformance.gallery.receivers.duplicate import DUPLICATE
from conformance.gallery.receivers.fuzz import FUZZ
from conformance.gallery.receivers.process import (
    PAIRS,
    STACK_PEERS,
    Pair,
    Stack,
    fresh_secret,
    pair,
    stack,
)
from conformance.gallery.receivers.signature import SIGNATURE
from conformance.gallery.receivers.timing import TIMING
from conformance.gallery.receivers.transport import TRANSPORT
from conformance.options.receiver import Options
from conformance.protocol.signing import Signer
from conformance.receiver.app import ENDPOINT, OBSERVER, Settings, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario import dialects
from conformance.serving import certificates
from conformance.storage.database import MEMORY

ALIVE = "receiver.http.alive"
CONTROLS = ("receiver.accepts.documented-type", ALIVE)
"""Rules that every faulty receiver is judged by, to show that it was up."""

COSTLY = "receiver.duplicate.window"
"""Sends 1,600 messages, so it is run only where a peer names it."""


@asynccontextmanager
async def _in_process(
    behaviour: Callable[[], ReceiverBehaviour], *, tls: bool = False
) -> AsyncIterator[Options]:
    signer = Signer(dialects.load("guide"), fresh_secret())
    context = await asyncio.to_thread(certificates.self_signed) if tls else None
    async with (
        Inbox(MEMORY) as inbox,
        serving(behaviour(), inbox, signer, Settings(tls=context)) as base,
    ):
        yield Options(
            url=base + ENDPOINT,
            secret=signer.secret,
            dialect=signer.dialect,
            observer_url=base + OBSERVER,
        )


def _rules(caught_by: Sequence[str], beside: Sequence[str]) -> tuple[str, ...]:
    ids = rules_to_run("receiver", caught_by, beside, CONTROLS)
    return tuple(rule for rule in ids if rule != COSTLY or rule in caught_by)


def _faulty_peer(faulty: Faulty) -> Peer:
    return Peer(
        "receiver",
        faulty.name,
        faulty.fault,
        faulty.caught_by,
        _rules(faulty.caught_by, faulty.beside),
        partial(_in_process, faulty.fresh, tls=faulty.tls),
        certificates.missing if faulty.tls else lambda: None,
    )


def _pair_peer(source: Pair) -> Peer:
    rules = _rules(source.caught_by, source.beside) if source.fault else ()
    return Peer(
        "receiver", source.name, source.fault, source.caught_by, rules, partial(pair, source)
    )


def _stack_peer(source: Stack) -> Peer:
    return Peer("receiver", source.name, None, (), (), partial(stack, source), source.missing)


# The slowest peers come first, so that the others run meanwhile. Those that are fuzzed come last:
# drawing examples takes processor time from the peers that are judged by the clock.
RECEIVERS = (
    Peer("receiver", "reference", None, (), (), partial(_in_process, ReceiverBehaviour)),
    *map(_stack_peer, STACK_PEERS),
    *map(_pair_peer, PAIRS),
    *map(_faulty_peer, (*TIMING, *DUPLICATE, *BODY, *TRANSPORT, *SIGNATURE, *ACCEPTS, *FUZZ)),
)
