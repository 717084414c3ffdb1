"""Why the suite cannot be run against a target. Used for both sides."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.exchange import Exchange, Fault
from conformance.model.sentence import Sentence

NO_TLS = Sentence("it does not speak TLS: is it http://?")


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the suite is not run (`code` for programs), and the ids of the exchanges that show it.

    With `fail` the target broke a rule (it answers every plain message 5xx); without, nothing could be
    learnt of it."""

    code: str
    reason: Sentence
    exchanges: tuple[int, ...]
    fail: bool = False


def speaks_no_tls(exchange: Exchange) -> bool:
    """Whether the peer answered the handshake with something other than TLS. Reads the wording of OpenSSL
    3.0 and 3.2."""
    words = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
    return exchange.fault is Fault.TLS and any(word in exchange.detail for word in words)
