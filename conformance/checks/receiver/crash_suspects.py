"""Which requests a target that has died was busy with: told from the times of exchanges alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.text import NO_TEXT, Text

MOST = 5
"""Suspects that are named."""
_BROKEN_OFF = (Fault.CLOSED, Fault.TIMEOUT)


def suspects(exchanges: Iterable[Exchange], url: str) -> list[Exchange]:
    """The probes that the target at `url` had whole when its answers stopped for good, the likeliest to
    have killed it first."""
    asked = [e for e in exchanges if e.role is not Role.OBSERVE and e.request.url == url]
    # What was begun and then answered shows that it still lived, or lived again.
    lived = max((e.started for e in asked if e.answer is not None), default=0.0)
    lost = [
        e for e in asked if e.status is None and e.fault is not Fault.GIVEN_UP and e.ended >= lived
    ]
    stopped = min((e.ended for e in lost), default=0.0)
    under_way = [
        e
        for e in lost
        if e.role is Role.PROBE and e.fault in _BROKEN_OFF and _whole(e) and e.sent <= stopped
    ]
    return sorted(under_way, key=lambda each: (_unread(each), each.sent))


def named(found: Sequence[Exchange]) -> Text:
    """What is said of the suspects `found`, to follow on what became of the target."""
    names = list(dict.fromkeys(str(each.name) for each in found))
    if not names:
        return NO_TEXT
    if len(names) == 1:
        return Text(f"; the answers stopped at {names[0]}", f"；響應停止於 {names[0]}")
    rest = f" +{len(names) - MOST}" if len(names) > MOST else ""
    listed = ", ".join(names[:MOST]) + rest
    return Text(
        f"; the answers stopped while these were under way, the likeliest cause first: {listed}",
        f"；響應停止時，以下請求正在處理（最可能的原因在前）：{listed}",
    )


def _whole(exchange: Exchange) -> bool:
    """Whether its last byte went out: else the wire leaves `sent` at `started`."""
    return exchange.sent > exchange.started or not exchange.request.body


def _unread(exchange: Exchange) -> bool:
    """Whether it was hardly read: a process that ends resets the connections that hold bytes which it
    had not taken, and closes the others in good order."""
    return "reset" in exchange.detail.lower()
