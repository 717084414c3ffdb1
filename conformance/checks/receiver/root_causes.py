"""One cause, one finding: a root cause is reported by one rule, and the others only refer to it."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.model.exchange import Exchange, Role
from conformance.model.rules import Finding, Held, Judgement, Level, Unjudged
from conformance.model.sentence import Sentence

RAW_BYTES = "receiver.signature.raw-bytes"
TIMESTAMP_FORM = "receiver.signature.timestamp-form"
REFUSAL_STATUS = "receiver.signature.refusal-status"


def without_root_cause(
    rule: str,
    judgements: Sequence[Judgement],
    exchanges: Sequence[Exchange],
    profile: ReceiverProfile,
    *,
    first: bool,
) -> list[Judgement]:
    """The `judgements` on one case of `rule`, without what another rule reports.

    A signature over rewritten JSON is reported by the `first` case of raw-bytes. A target that answers
    every forgery with a 5xx, or by closing the connection, is reported by refusal-status.
    """
    if profile.scheme.rewritten is not None and rule == RAW_BYTES and exchanges:
        return [_rewritten(exchanges, profile) if first else _same_cause(RAW_BYTES)]
    refused = any((each.status, each.fault) == profile.refusal for each in exchanges)
    broken = not all(isinstance(judgement, Held) for judgement in judgements)
    if rule == TIMESTAMP_FORM and broken and refused:
        return [_same_cause(REFUSAL_STATUS)]
    return list(judgements)


def _rewritten(exchanges: Sequence[Exchange], profile: ReceiverProfile) -> Finding:
    message = (
        Sentence("the signature is checked over ")
        + profile.scheme.description
        + Sentence(", not over the bytes as received")
    )
    probes = tuple(exchange.id for exchange in exchanges if exchange.role is Role.PROBE)
    return Finding(Level.MUST, "body-rewritten", message, probes)


def _same_cause(rule: str) -> Unjudged:
    return Unjudged("same-cause", Sentence("the same cause as the failure of {rule}", rule=rule))
