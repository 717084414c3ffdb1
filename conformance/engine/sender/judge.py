"""Judges a sender's cases, and turns the judgements into results. Pure."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from conformance.checks.sender import case as cases
from conformance.checks.sender.endpoint_reports import told_apart
from conformance.checks.sender.pass_evidence import describe_pass
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.wire import WIRE_CHECKS
from conformance.engine.case_record import CaseRecord
from conformance.engine.results import decide_result
from conformance.model.exchange import Exchange
from conformance.model.report import Result
from conformance.model.rules import Judgement, Level
from conformance.model.text import Text
from conformance.options.secrets import hide
from conformance.scenario.records import Case

CHECKS = WIRE_CHECKS | {"told-apart": told_apart}
"""The checks over the exchanges of many cases, by name."""


@dataclass(frozen=True, slots=True)
class SenderJudge:
    """Judges by the sender's `profile`. `secrets` are hidden in messages: a sender may give them away in
    its answers."""

    profile: SenderProfile
    secrets: Set[bytes] = frozenset()

    def judge(self, case: Case, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """The judgements on a case that made these exchanges."""
        return cases.judge(case, exchanges, self.profile)

    def check(self, name: str, exchanges: Sequence[Exchange], level: Level) -> list[Judgement]:
        """The judgements of the named check over the exchanges of many cases."""
        return CHECKS[name](exchanges, self.profile, level)

    def result(self, record: CaseRecord, *, strict: bool) -> Result:
        """The result of a case. The figures of a passing one are its message."""
        case = record.case
        context = [exchange.id for exchange in record.exchanges if case.acts]
        result = decide_result(
            record.scenario,
            case,
            record.judgements,
            context,
            seconds=record.seconds,
            strict=strict,
        )
        message = result.message or describe_pass(case, record.exchanges, self.profile)
        return replace(result, message=self.hidden(message), judged=record.judged)

    def hidden(self, text: Text) -> Text:
        """`text` without the secrets."""
        return Text(hide(text.en, self.secrets), hide(text.zh, self.secrets))
