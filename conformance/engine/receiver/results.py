"""What a receiver's case came to: what it has shown where it holds, and how to see it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.wording import answered
from conformance.engine.results import concluded
from conformance.model.exchange import Exchange, Headers, Role
from conformance.model.report import Result
from conformance.model.rules import Judgement, Outcome
from conformance.model.text import NO_TEXT, Text
from conformance.scenario.records import Case, Scenario
from conformance.wire.curl import curl


@dataclass(frozen=True, slots=True)
class Told:
    """What examples came to, where they were drawn: `seen` is said of a rule that holds, `again` is the
    lines that show what broke, `dead` tells that the target did not outlive it."""

    found: Sequence[Judgement]
    seen: Text = NO_TEXT
    again: str | None = None
    dead: bool = False


def result_of(
    scenario: Scenario,
    case: Case,
    found: Sequence[Judgement],
    exchanges: Sequence[Exchange],
    profile: ReceiverProfile,
    headers: Headers,
    *,
    seconds: float,
    strict: bool,
    told: Told | None = None,
) -> Result:
    """The result for `case` of a receiver; `exchanges` are those that it left, `headers` the secret
    ones that were sent with every request, and `told` says more of examples."""
    probes = [each.id for each in exchanges if each.role is Role.PROBE and case.acts]
    result = concluded(
        scenario,
        case,
        found,
        probes,
        seconds=seconds,
        strict=strict,
        reproduce=lambda ids: told.again if told else _reproduce(ids, exchanges, profile, headers),
    )
    if result.outcome is Outcome.PASS:
        said = told.seen if told else _seen(case, exchanges, profile)
        return replace(result, message=said)
    return result


def _seen(case: Case, exchanges: Sequence[Exchange], profile: ReceiverProfile) -> Text:
    """What a case that holds has shown, in a few words."""
    probes = [each for each in exchanges if each.role is Role.PROBE and each.status is not None]
    if not probes or not case.acts:
        return NO_TEXT
    said = answered(probes[-1], profile)
    if case.counting and not profile.observed and profile.inferred is not None:
        said += Text(" (judged by the answers)", "（依響應內容判定）")
    return said


def _reproduce(
    told: Sequence[int], exchanges: Sequence[Exchange], profile: ReceiverProfile, headers: Headers
) -> str | None:
    """A line for the telling exchange, where it shows the matter by itself."""
    telling = next((each for each in exchanges if told and each.id == told[0]), None)
    if telling is None or telling.role is not Role.PROBE:
        return None
    case_probes = [
        each
        for each in exchanges
        if each.role is Role.PROBE and (each.rule, each.case) == (telling.rule, telling.case)
    ]
    if len(case_probes) > 1:
        return None
    if profile.scheme.decoded is not None:
        return None  # signed with a secret that was decoded first: openssl would need other words
    return curl(telling, profile.scheme.signer.dialect, headers)


def unchecked(results: Iterable[Result]) -> bool:
    """Whether every rule of forged requests is broken, as where no signature is looked at."""
    forged = [each for each in results if each.rule.id in FORGED]
    return len(forged) >= len(FORGED) and all(each.outcome is Outcome.FAIL for each in forged)


FORGED = frozenset(
    f"receiver.signature.{name}"
    for name in ("wrong-secret", "tampered-body", "missing-both", "missing-signature", "truncated")
)
