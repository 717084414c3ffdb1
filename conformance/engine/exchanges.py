"""Builds the record of an exchange, with the case and step that it was made for, and reads why one failed.
Used for both sides."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.exchange import Exchange, Fault, Request, Role
from conformance.model.sentence import Sentence
from conformance.wire.reply import Reply

USER_AGENT = "Hookproof"
NO_TLS = Sentence("it does not speak TLS: is it http://?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run an exchange belongs: the rule, its case and the step. `rule` and `case` are None
    for what is sent outside the scenarios."""

    rule: str | None = None
    case: str | None = None
    step: int = 0


def exchange_of(
    request: Request, reply: Reply, role: Role, place: Place, msg_id: str | None = None
) -> Exchange:
    """The record of an unsigned `request`, and `reply`. Its id is 0 until a trace assigns one."""
    return Exchange(
        id=0,
        role=role,
        rule=place.rule,
        case=place.case,
        step=place.step,
        msg_id=msg_id,
        request=request,
        signing=None,
        answer=reply.answer,
        fault=reply.fault,
        detail=reply.detail,
        started=reply.started,
        sent=reply.sent,
        ended=reply.ended,
        peer=reply.peer,
    )


def speaks_no_tls(exchange: Exchange) -> bool:
    """Whether the peer answered the handshake with something other than TLS. Reads the wording of OpenSSL
    3.0 and 3.2."""
    words = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
    return exchange.fault is Fault.TLS and any(word in exchange.detail for word in words)
