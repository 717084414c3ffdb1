"""All receivers of the gallery as peers, each served over real HTTP."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from conformance.gallery.child_process import STACKS
from conformance.gallery.peer import Peer
from conformance.gallery.receivers import (
    accepts,
    body,
    duplicate,
    forged,
    fuzz,
    program,
    signature,
    timing,
    transport,
)
from conformance.gallery.receivers.serve import (
    EXPRESS,
    as_program,
    in_process,
    needs_express,
    needs_flask,
    needs_node,
    two_processes,
)
from conformance.receiver.behaviour import ReceiverBehaviour


def _stack(name: str, *command: str, **means: Any) -> Peer:
    return Peer("receiver", name, partial(as_program, *command), **means)


CORRECT = (
    Peer("receiver", "reference", partial(in_process, ReceiverBehaviour)),
    _stack("python-stdlib", sys.executable, str(STACKS / "stdlib_receiver.py")),
    _stack("python-flask", sys.executable, str(STACKS / "flask_receiver.py"), missing=needs_flask),
    _stack("node-http", "node", str(STACKS / "node_receiver.mjs"), missing=needs_node),
    _stack("node-express", "node", str(EXPRESS / "server.js"), missing=needs_express),
    Peer("receiver", "two-processes", partial(two_processes, program.correct)),
)

_GROUPS = (
    *(program.faulty, timing.faulty, duplicate.faulty, body.faulty, transport.over_https),
    *(transport.faulty, forged.faulty, signature.faulty, accepts.faulty),
    *(duplicate.long, fuzz.faulty),
)
# The slowest peers come first, so that the others run meanwhile. Those that get the most
# messages come last: thousands of them take processor time from the peers that are judged by the clock.

RECEIVERS = (*CORRECT, *(peer for group in _GROUPS for peer in group.peers))
