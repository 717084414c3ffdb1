"""Which requests a target was handling when it died: inferred from the times of exchanges alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.sentence import EMPTY, Sentence

MOST = 5
"""The number of suspects that a message lists."""
_BROKEN_OFF = (Fault.CLOSED, Fault.TIMEOUT)


def suspects(exchanges: Iterable[Exchange], url: str) -> list[Exchange]:
    """The probes that the target at `url` had received completely when it stopped answering for good,
    the likeliest killer first."""
    to_target = [e for e in exchanges if e.role is not Role.OBSERVE and e.request.url == url]
    # A request that began later and was answered shows that the target was still, or again, alive.
    alive_at = max((e.started for e in to_target if e.answer is not None), default=0.0)
    lost = [
        e
        for e in to_target
        if e.status is None and e.fault is not Fault.GIVEN_UP and e.ended >= alive_at
    ]
    stopped_at = min((e.ended for e in lost), default=0.0)
    under_way = [
        e
        for e in lost
        if e.role is Role.PROBE
        and e.fault in _BROKEN_OFF
        and _is_sent_whole(e)
        and e.sent <= stopped_at
    ]
    return sorted(under_way, key=lambda exchange: (_is_unread(exchange), exchange.sent))


def describe_suspects(exchanges: Sequence[Exchange]) -> Sentence:
    """The suspects, as a clause that follows what happened to the target; empty for none."""
    names = list(dict.fromkeys(str(exchange.name) for exchange in exchanges))
    if not names:
        return EMPTY
    if len(names) == 1:
        return Sentence("; the answers stopped at {names}", names=names[0])
    rest = f" +{len(names) - MOST}" if len(names) > MOST else ""
    listed = ", ".join(names[:MOST]) + rest
    return Sentence(
        "; the answers stopped while these were under way, the likeliest cause first: {listed}",
        listed=listed,
    )


def _is_sent_whole(exchange: Exchange) -> bool:
    """Whether the last byte was sent: otherwise the wire leaves `sent` at `started`."""
    return exchange.sent > exchange.started or not exchange.request.body


def _is_unread(exchange: Exchange) -> bool:
    """Whether the target had hardly read the request: when a process ends, connections with unread bytes
    are reset and the others are closed in good order."""
    return "reset" in exchange.detail.lower()
