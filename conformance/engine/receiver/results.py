"""Turns the judgements of a receiver's case into its result: what a passing case showed, and a shell line
that reproduces a failure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.receiver.wording import answered
from conformance.engine.results import decide_result
from conformance.model.exchange import Exchange, Headers, Role
from conformance.model.report import Result
from conformance.model.rules import Judgement, Outcome
from conformance.model.sentence import EMPTY, Sentence
from conformance.scenario.records import Case, Scenario
from conformance.wire.curl import curl


@dataclass(frozen=True, slots=True)
class FuzzJudgement:
    """How a fuzz rule was judged. `summary` is the message of a rule that holds, `reproduce` the shell
    lines that show what failed, `target_down` whether the target no longer answers."""

    judgements: Sequence[Judgement]
    summary: Sentence = EMPTY
    reproduce: str | None = None
    target_down: bool = False


def result_of(  # noqa: PLR0913 - one CaseRecord will take their place
    scenario: Scenario,
    case: Case,
    judgements: Sequence[Judgement],
    exchanges: Sequence[Exchange],
    profile: ReceiverProfile,
    headers: Headers,
    *,
    seconds: float,
    strict: bool,
    fuzz: FuzzJudgement | None = None,
) -> Result:
    """The result for `case` of a receiver. `exchanges` are those that the case made, `headers` the secret
    ones that were sent with every request. `fuzz` is given for a fuzz rule."""
    probes = [each.id for each in exchanges if each.role is Role.PROBE and case.acts]
    result = decide_result(
        scenario,
        case,
        judgements,
        probes,
        seconds=seconds,
        strict=strict,
        reproduce=lambda ids: (
            fuzz.reproduce if fuzz else _reproduce(ids, exchanges, profile, headers)
        ),
    )
    if result.outcome is Outcome.PASS:
        message = fuzz.summary if fuzz else _pass_evidence(case, exchanges, profile)
        return replace(result, message=message)
    return result


def _pass_evidence(case: Case, exchanges: Sequence[Exchange], profile: ReceiverProfile) -> Sentence:
    """What a passing case has shown, in a few words."""
    probes = [each for each in exchanges if each.role is Role.PROBE and each.status is not None]
    if not probes or not case.acts:
        return EMPTY
    text = answered(probes[-1], profile)
    if case.counting and not profile.observed and profile.inferred is not None:
        text += Sentence(" (judged by the answers)")
    return text


def _reproduce(
    ids: Sequence[int], exchanges: Sequence[Exchange], profile: ReceiverProfile, headers: Headers
) -> str | None:
    """A shell line for the first exchange of `ids`, if that exchange shows the finding by itself."""
    exchange = next((each for each in exchanges if ids and each.id == ids[0]), None)
    if exchange is None or exchange.role is not Role.PROBE:
        return None
    case_probes = [
        each
        for each in exchanges
        if each.role is Role.PROBE and (each.rule, each.case) == (exchange.rule, exchange.case)
    ]
    if len(case_probes) > 1:
        return None
    if profile.scheme.decoded is not None:
        return None  # the target decodes the secret first; the line for openssl would not
    return curl(exchange, profile.scheme.signer.dialect, headers)


def accepts_forgeries(results: Iterable[Result]) -> bool:
    """Whether every rule about forged requests failed, as when the signature is not checked at all."""
    forged = [result for result in results if result.rule.id in FORGED]
    return len(forged) >= len(FORGED) and all(each.outcome is Outcome.FAIL for each in forged)


FORGED = frozenset(
    f"receiver.signature.{name}"
    for name in ("wrong-secret", "tampered-body", "missing-both", "missing-signature", "truncated")
)
"""Rules that a receiver without any signature check breaks, all of them."""
