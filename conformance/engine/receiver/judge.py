"""Judges a receiver's cases, and turns the judgements into results: what a passing case showed, and a shell
line that reproduces a failure. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from conformance.checks import messages
from conformance.checks.check import Check, Need, Scope
from conformance.checks.receiver import case as cases
from conformance.checks.receiver.load import LoadRun
from conformance.checks.receiver.profile import ReceiverProfile, from_data
from conformance.checks.receiver.root_causes import without_root_cause
from conformance.checks.receiver.wording import answered
from conformance.checks.registry import CHECKS
from conformance.engine.case_record import CaseRecord
from conformance.engine.judge import decide_result
from conformance.model.exchange import Exchange, Headers, Role
from conformance.model.load import LoadFigures
from conformance.model.report import Result
from conformance.model.rules import NO_EVIDENCE, Judgement, Level, Outcome
from conformance.model.sentence import EMPTY, Sentence
from conformance.protocol.dialect import Secret, sign
from conformance.scenario.records import Case
from conformance.trace.masking import differs_from_signed
from conformance.wire.curl import curl


@dataclass(frozen=True, slots=True)
class ReceiverJudge:
    """Judges by the target's `profile`. `headers` are the secret ones that were sent with every request:
    shell lines name them. `load` are the figures of a load run; None for any other."""

    profile: ReceiverProfile
    headers: Headers = ()
    load: LoadFigures | None = None

    @classmethod
    def recorded(cls, run: Mapping[str, Any], secret: Secret) -> Self:
        """The judge of a recorded run, from the data that `schemas/run.schema.json` describes."""
        headers = tuple((name.encode(), b"") for name in run["headers"])
        load = LoadFigures(**run["load"]) if run.get("load") is not None else None
        return cls(from_data(run["profile"], secret), headers, load)

    def judge(self, case: Case, exchanges: Sequence[Exchange]) -> list[Judgement]:
        return cases.judge(case, exchanges, self.profile)

    def check(self, name: str, exchanges: Iterable[Exchange], level: Level) -> Sequence[Judgement]:
        check = CHECKS["receiver"][name]
        if check.scope is not Scope.LOAD:
            return messages.judge(check, exchanges, self.profile, level)
        if self.load is None:
            return [NO_EVIDENCE]
        return check.judge(LoadRun(self.load, tuple(exchanges)), self.profile, level)

    def tally(self, name: str, level: Level) -> messages.Tally:
        return messages.Tally(CHECKS["receiver"][name], self.profile, level)

    def result(self, record: CaseRecord, *, strict: bool) -> Result:
        """The result of a case. A root cause is reported by one rule; the others refer to it."""
        case, fuzz = record.case, record.fuzz
        probes = [each.id for each in record.exchanges if each.role is Role.PROBE and case.acts]
        result = decide_result(
            record,
            self._without_root_cause(record),
            probes,
            strict=strict,
            reproduce=lambda ids: fuzz.reproduce if fuzz else self._reproduce(ids, record),
        )
        if result.outcome is not Outcome.PASS:
            return result
        message = fuzz.summary if fuzz else self._pass_evidence(record)
        return replace(result, message=message, reproduce=None)  # there is nothing to reproduce

    def needs_secret(self, record: CaseRecord) -> bool:
        return record.checks_others and Need.SECRET in _check_of(record).needs

    def needs_bodies(self, record: CaseRecord) -> bool:
        if record.checks_others:
            return Need.BODIES in _check_of(record).needs
        # Effects are inferred from the answers where there is no observer.
        effects = [expect.processed for step in record.case.steps for expect in step.expects]
        return not self.profile.observed and any(effect not in (None, 0) for effect in effects)

    def is_masked(self, record: CaseRecord, exchange: Exchange) -> bool:
        if record.checks_others:
            return differs_from_signed(exchange)
        return bool(exchange.masked)  # answers are compared byte by byte

    def fits(self, exchange: Exchange, secret: Secret) -> bool | None:
        """Whether an exchange shows that `secret` is the run's, or that it is not; None: neither. Shown by
        the plain messages before the suite, which are signed with the secret as the user gave it."""
        signing, dialect = exchange.signing, self.profile.requested
        if exchange.role is not Role.PLAIN or signing is None or differs_from_signed(exchange):
            return None
        expected = sign(dialect, secret, signing.timestamp, signing.body)
        return exchange.header(dialect.signature_header.encode()) == expected

    def _without_root_cause(self, record: CaseRecord) -> Sequence[Judgement]:
        if not record.runs:
            return record.judgements
        return without_root_cause(
            record.scenario,
            record.judgements,
            record.exchanges,
            self.profile,
            first=record.case is record.scenario.cases[0],
        )

    def _pass_evidence(self, record: CaseRecord) -> Sentence:
        """What a passing case has shown, in a few words."""
        probes = [e for e in record.exchanges if e.role is Role.PROBE and e.status is not None]
        if not probes or not record.case.acts:
            return EMPTY
        text = answered(probes[-1])
        if record.case.counting and not self.profile.observed and self.profile.inferred is not None:
            text += Sentence(" (judged by the answers)")
        return text

    def _reproduce(self, ids: Sequence[int], record: CaseRecord) -> str | None:
        """A shell line for the first exchange of `ids`, if that exchange shows the finding by itself."""
        exchange = next((each for each in record.exchanges if ids and each.id == ids[0]), None)
        if exchange is None or exchange.role is not Role.PROBE:
            return None
        case_probes = [
            each
            for each in record.exchanges
            if each.role is Role.PROBE and (each.rule, each.case) == (exchange.rule, exchange.case)
        ]
        if len(case_probes) > 1:
            return None
        if self.profile.scheme.decoded is not None:
            return None  # the target decodes the secret first; the line for openssl would not
        return curl(exchange, self.profile.scheme.signer.dialect, self.headers)


def _check_of(record: CaseRecord) -> Check:
    return CHECKS["receiver"][record.scenario.check or ""]
