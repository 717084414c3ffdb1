"""An exchange as the suite records it, with what it was made for; the same for both sides."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.exchange import Exchange, Request, Role, Signing
from conformance.wire.reply import Reply

USER_AGENT = "Hookproof"


@dataclass(frozen=True, slots=True)
class At:
    """What an exchange is for: a rule, its case and the step; None outside the scenarios."""

    rule: str | None = None
    case: str | None = None
    step: int = 0


def exchange_of(
    request: Request, signing: Signing | None, reply: Reply, role: Role, at: At, msg_id: str | None
) -> Exchange:
    """What came of `request`, as it is recorded."""
    return Exchange(
        id=0,
        role=role,
        rule=at.rule,
        case=at.case,
        step=at.step,
        msg_id=msg_id,
        request=request,
        signing=signing,
        answer=reply.answer,
        fault=reply.fault,
        detail=reply.detail,
        started=reply.started,
        sent=reply.sent,
        ended=reply.ended,
        peer=reply.peer,
    )
