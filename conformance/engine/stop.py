"""Why a suite is not run; the same for both sides."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.exchange import Exchange, Fault
from conformance.model.text import Text

NO_TLS = Text("it does not speak TLS: is it http://?", "它使用的不是 TLS：是否應為 http://？")


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the suite is not run. `fail` tells a target that fails every plain message (5xx) from one
    of which nothing could be learnt. `rule` is the one that a failure is told of; None: the first."""

    reason: Text
    fail: bool
    exchanges: tuple[int, ...]
    rule: str | None = None


def speaks_no_tls(exchange: Exchange) -> bool:
    """Whether what came in the handshake was no TLS at all, in the words of OpenSSL 3.0 or 3.2."""
    words = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
    return exchange.fault is Fault.TLS and any(each in exchange.detail for each in words)
