"""The receivers of the gallery, as the matrix meets them, each served over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from conformance.gallery.peer import Faulty, Peer, met
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
from conformance.protocol.tampering import Signer
from conformance.receiver.app import ENDPOINT, OBSERVER, Settings, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario import dialects
from conformance.serving import certificates
from conformance.storage.database import MEMORY

ALIVE = "receiver.http.alive"
CONTROLS = ("receiver.accepts.documented-type", ALIVE)
"""Rules that say, beside any others, whether the peer was there to be judged."""

COSTLY = "receiver.duplicate.window"
"""Sends 1,600 messages, and is met only by who names it."""


@asynccontextmanager
async def _in_process(
    behaviour: Callable[[], ReceiverBehaviour], tls: bool
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
    ids = met("receiver", caught_by, beside, CONTROLS)
    return tuple(rule for rule in ids if rule != COSTLY or rule in caught_by)


def _of_faulty(faulty: Faulty) -> Peer:
    return Peer(
        "receiver",
        faulty.name,
        faulty.fault,
        faulty.caught_by,
        _rules(faulty.caught_by, faulty.beside),
        partial(_in_process, faulty.fresh, faulty.tls),
        certificates.missing if faulty.tls else lambda: None,
    )


def _of_pair(given: Pair) -> Peer:
    rules = _rules(given.caught_by, given.beside) if given.fault else ()
    return Peer("receiver", given.name, given.fault, given.caught_by, rules, partial(pair, given))


def _of_stack(given: Stack) -> Peer:
    return Peer("receiver", given.name, None, (), (), partial(stack, given), given.missing)


# Whoever takes long goes first, so that the others run meanwhile; those that are fuzzed last, since
# drawing keeps the processor from whoever is judged by the clock.
RECEIVERS = (
    Peer("receiver", "reference", None, (), (), partial(_in_process, ReceiverBehaviour, False)),
    *map(_of_stack, STACK_PEERS),
    *map(_of_pair, PAIRS),
    *map(_of_faulty, (*TIMING, *DUPLICATE, *BODY, *TRANSPORT, *SIGNATURE, *ACCEPTS, *FUZZ)),
)
