"""One cause, one finding: a root cause is reported by one rule, and the others only refer to it."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.model.exchange import Exchange, Role
from conformance.model.rules import Finding, Held, Judgement, Level, Unjudged
from conformance.model.sentence import Sentence
from conformance.scenario.records import Scenario

FORGERIES_ACCEPTED = Unjudged(
    "forgeries-accepted",
    Sentence("not judged: a message signed with another secret is accepted as well"),
)
"""That a message is accepted shows nothing of its signature then."""
REWRITTEN, UNVERIFIED = "rewritten-body", "unverified-signature"
"""Root causes, as rules name them that report one."""


def without_root_cause(
    scenario: Scenario,
    judgements: Sequence[Judgement],
    exchanges: Sequence[Exchange],
    profile: ReceiverProfile,
    *,
    first: bool,
) -> list[Judgement]:
    """The `judgements` on one case of a rule, without what another rule reports.

    A signature over rewritten JSON is reported by the `first` case of the rule with that root cause. An
    answer by which the target refuses every forgery (a 5xx, a closed connection) is reported by the rule
    that explains this one.
    """
    if profile.accepts_forgeries and scenario.root_cause == REWRITTEN:
        return [FORGERIES_ACCEPTED]
    if profile.scheme.rewritten is not None and scenario.root_cause == REWRITTEN and exchanges:
        return [_rewritten(exchanges, profile) if first else _same_cause(scenario.rule.id)]
    refused = any((each.status, each.fault) == profile.refusal for each in exchanges)
    broken = not all(isinstance(judgement, Held) for judgement in judgements)
    if scenario.explained_by is not None and broken and refused:
        return [_same_cause(scenario.explained_by)]
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
