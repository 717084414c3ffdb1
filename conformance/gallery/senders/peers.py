"""All senders of the gallery as peers, each served over real HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from conformance.gallery.child_process import STACKS
from conformance.gallery.peer import Peer
from conformance.gallery.senders import config, filters, loss, message, pace, program, retry, wire
from conformance.gallery.senders.serve import as_program, forgetful, in_process, over_https
from conformance.sender.behaviour import SenderBehaviour


def _correct(name: str, serve: Callable[..., Any]) -> Peer:
    return Peer("sender", name, partial(over_https, serve))


CORRECT = (
    _correct("reference-sender", partial(in_process, SenderBehaviour)),
    _correct(
        "python-stdlib-threads",
        partial(as_program, sys.executable, str(STACKS / "stdlib_sender.py")),
    ),
    _correct("kept-in-a-file", partial(forgetful, program.correct)),
)

_GROUPS = (
    *(program.faulty, retry.faulty, pace.backoff, pace.faulty, loss.faulty, filters.faulty),
    *(wire.faulty, message.faulty, config.faulty, config.over_https),
)
# The slowest come first.

SENDERS = (*CORRECT, *(peer for group in _GROUPS for peer in group.peers))
