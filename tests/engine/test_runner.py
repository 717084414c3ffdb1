"""What the runner makes of cases that a side settles, for good or provisionally."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace

from conformance.engine.case_record import CaseRecord
from conformance.engine.runner import Runner
from conformance.model.report import Report
from conformance.model.result import Result
from conformance.model.rules import Finding, Level, Outcome
from conformance.model.sentence import EMPTY, Sentence
from conformance.options.receiver import Options
from conformance.options.secrets import Mask
from conformance.protocol.dialect import Secret
from conformance.scenario.dialects import load
from conformance.trace import Trace
from tests.reporting.html_parts import result

RULE = "receiver.accepts.any-text"
LATE = Finding(Level.MUST, "late", Sentence("it was late"))


def _result(record: CaseRecord, strict: bool) -> Result:
    outcome = Outcome.FAIL if record.judgements else Outcome.PASS
    return result(
        outcome,
        rule=record.scenario.rule,
        case=record.case.name,
        message=LATE.message,
        exchanges=(),
    )


@dataclass
class Side:
    """A side without a target, which runs its cases as `run` does."""

    run: Callable[[Runner], None]
    name: str = "receiver"
    target: str = "http://receiver.invalid/"
    spoken: str | None = None

    def __post_init__(self) -> None:
        secret, guide = Secret(b"k"), load("guide")
        self.options = Options(url=self.target, secret=secret, dialect=guide, rules=(RULE,))
        self.trace, self.judge = Trace(), SimpleNamespace(result=_result)
        self.mask = Mask(b"k")

    @asynccontextmanager
    async def open(self, runner):
        self.runner = runner
        yield

    async def preflight(self):
        return None

    async def run_cases(self):
        self.run(self.runner)

    async def finish(self):
        return None

    def skip_reason(self, record):
        return None

    def in_order(self, exchanges):
        return list(exchanges)

    def cause(self, results):
        return EMPTY

    def run_data(self):
        return {"profile": {}}


def judge(run: Callable[[Runner], None]) -> tuple[Report, list[Result]]:
    """The report of a run, and the results that it announced."""
    events: list[object] = []
    report = asyncio.run(Runner(Side(run), events.append).report())
    return report, [event for event in events if isinstance(event, Result)]


def failed(record: CaseRecord) -> CaseRecord:
    return CaseRecord(record.scenario, record.case, judgements=[LATE])


def test_a_case_that_was_not_run_again_ends_as_an_error():
    def run(runner):
        for record in runner.records:
            runner.settle_provisionally(failed(record))

    report, announced = judge(run)
    assert {each.code for each in report.results} == {"not-run-alone"}
    assert tuple(announced) == report.results


def test_a_case_that_was_settled_is_not_settled_again():
    def run(runner):
        for record in runner.records:
            runner.settle_provisionally(record)
            runner.settle(failed(record))

    report, announced = judge(run)
    assert {each.outcome for each in report.results} == {Outcome.FAIL}
    assert len(announced) == len(report.results) > 1
