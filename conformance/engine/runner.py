"""One run against a live target of either side: preflight, the cases, and the report.

The side carries the cases out, in an order of its own; the runner judges each, decides what is run again
because this process was stalled, judges what the whole run shows, and writes the report. Knows no side.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from conformance.engine.case_record import CaseRecord
from conformance.engine.events import Listener, RunStarted, ignore
from conformance.engine.judge import (
    TIME_RAN_OUT,
    Judge,
    as_unjudged,
    judge_case,
    judge_check,
    own_fault,
    refer_to_cause,
)
from conformance.engine.lifecycle import Change, Lifecycle, State, Stop
from conformance.engine.metadata import (
    NOTHING_PASSED,
    Key,
    describe_report,
    exchange_counts,
    mark_superseded,
)
from conformance.engine.plan import as_not_run_alone, choose, judgement_of_stop
from conformance.engine.stalls import Stalls
from conformance.model.clock import Clock
from conformance.model.exchange import Exchange
from conformance.model.language import ENGLISH, Language
from conformance.model.report import Report, Result
from conformance.model.rules import Judgement, Outcome, Unjudged, verdict
from conformance.model.sentence import EMPTY, Sentence, joined
from conformance.options.secrets import SHORT, Mask
from conformance.options.table import RunOptions
from conformance.scenario.records import Scenario
from conformance.trace import Trace
from conformance.trace.masking import mask_result, mask_sentence

_LOG = logging.getLogger("hookproof")


class Side(Protocol):
    """What the runner needs from one side."""

    name: str

    @property
    def options(self) -> RunOptions:
        """The user's options."""

    @property
    def target(self) -> str:
        """The target's URL."""

    @property
    def trace(self) -> Trace:
        """The exchanges so far."""

    @property
    def judge(self) -> Judge:
        """Judges by what is known of the target so far."""

    def open(self, runner: Runner) -> AbstractAsyncContextManager[None]:
        """The session with the target. All that follows is called within it, or after it."""

    async def preflight(self) -> Stop | None:
        """Learn about the target. Returns why nothing can be judged, if that is so."""

    async def run_cases(self) -> None:
        """Carry out every case that can be judged, and settle it."""

    async def run_again(self, record: CaseRecord) -> None:
        """Carry out one case by itself, and settle it."""

    async def finish(self) -> None:
        """Do what comes after all the cases."""

    def skip_reason(self, record: CaseRecord) -> Unjudged | None:
        """Why the case cannot be judged with the given options, and with what the target showed."""

    def in_order(self, exchanges: Iterable[Exchange]) -> list[Exchange]:
        """The exchanges in the order in which they are shown."""

    def cause(self, results: Sequence[Result]) -> Sentence:
        """What the report says beside the verdict; empty when there is nothing to say."""

    @property
    def spoken(self) -> str | None:
        """The dialect that the target speaks; None when that is unknown."""

    def run_data(self) -> dict[str, Any]:
        """What a recorded run needs of the side, as `schemas/run.schema.json` describes it: what preflight
        learnt (`profile`), and the names of secret headers."""

    @property
    def mask(self) -> Mask:
        """Masks the run's secrets."""


class Runner:
    """One run. `listener` is given each event. Sides use `attempt` to carry out a case, and `settle` or
    `settle_provisionally` for what came of it."""

    def __init__(
        self,
        side: Side,
        listener: Listener = ignore,
        clock: Clock | None = None,
        language: Language = ENGLISH,
    ) -> None:
        self.side = side
        self.clock = clock or Clock()
        self.stalls = Stalls(self.clock)
        self.lifecycle = Lifecycle()
        self.chosen = choose(side.name, side.options)
        records = [
            CaseRecord(scenario, case) for scenario in self.chosen for case in scenario.cases
        ]
        self._records = {record.key: record for record in records}
        self._listener = listener
        self._language = language
        self._stalled: list[CaseRecord] = []  # to be run again
        self._until = 0.0

    @property
    def keys(self) -> list[Key]:
        """Every (rule, case) that the run will judge, in the catalogue's order."""
        return list(self._records)

    @property
    def records(self) -> list[CaseRecord]:
        """Every case as it is by now, in the catalogue's order."""
        return list(self._records.values())

    @property
    def results(self) -> list[Result]:
        """The results so far, in the catalogue's order."""
        return [record.result for record in self.records if record.result is not None]

    def record(self, key: Key) -> CaseRecord:
        """One case as it is by now."""
        return self._records[key]

    @property
    def seconds_left(self) -> float:
        """How much is left of the run's time."""
        return self._until - self.clock.monotonic()

    async def report(self) -> Report:
        """Judge the target; ends within the options' timeout and a little more. Raises InputError when the
        session cannot be opened with these options."""
        started, begin = datetime.now(UTC), self.clock.monotonic()
        self._until = begin + self.side.options.timeout
        self._listener(RunStarted(self.keys))
        async with self.stalls.watching(), self.side.open(self):
            await self._drive()
        self._judge_the_rest()
        report = self._assemble(started, begin)
        self._listener(report)
        return report

    async def attempt(self, record: CaseRecord, work: Awaitable[list[Exchange]]) -> CaseRecord:
        """Carry out a case, whose exchanges `work` returns, and judge it. Settles nothing."""
        begin = self.clock.monotonic()
        fresh = CaseRecord(record.scenario, record.case, runs=record.runs + 1)
        try:
            exchanges = await work
            lost = self.stalls.worst(begin)
            attempted = judge_case(self.side.judge, replace(fresh, exchanges=exchanges), lost)
        except Exception as fault:  # none of these is a verdict on the target
            attempted = replace(fresh, judgements=[as_unjudged(fault, record.name)])
        return replace(attempted, seconds=self.clock.monotonic() - begin)

    def settle(self, record: CaseRecord) -> None:
        """Report what came of a case. If that is worthless because this process was stalled, the case is
        run again first, as often as the time allows."""
        if record.stalled:
            self._stalled.append(record)
            self.settle_provisionally(record)
            return
        self._settle(record, self._result(record))

    def settle_provisionally(self, record: CaseRecord) -> None:
        """Keep what came of a case that should be run again, for the case that the time runs out."""
        kept = replace(record, result=self._result(record), provisional=True)
        self._records[record.key] = kept

    def _settle(self, record: CaseRecord, result: Result) -> None:
        self._records[record.key] = replace(record, result=result, provisional=False)
        self._listener(result)

    def _result(self, record: CaseRecord) -> Result:
        result = self.side.judge.result(record, strict=self.side.options.strict)
        return mask_result(refer_to_cause(result, self.chosen), self.side.mask)

    async def _drive(self) -> None:
        try:
            async with asyncio.timeout(self.side.options.timeout):
                stop = await self._preflight()
                if stop is not None:
                    self.lifecycle.change(Change.PREFLIGHT_STOPPED, stop)
                    return
                self.lifecycle.change(Change.PREFLIGHT_PASSED)
                await self.side.run_cases()
                await self._repeat_stalled()
                await self.side.finish()
                self.lifecycle.change(Change.ENDED)
        except TimeoutError:
            stop = Stop(TIME_RAN_OUT.code, TIME_RAN_OUT.reason, ())
            self.lifecycle.change(Change.TIME_RAN_OUT, stop)

    async def _preflight(self) -> Stop | None:
        try:
            return await self.side.preflight()
        except Exception as fault:  # a fault of the suite itself is no verdict on the target
            _LOG.exception("the target could not be probed: the preflight failed")
            return Stop("own-fault", own_fault(fault), ())

    async def _repeat_stalled(self) -> None:
        """Run the stalled cases again, one by one, until none is left or the time is used up."""
        while self._stalled and self.lifecycle.state is State.RUNNING:
            record = self._stalled.pop(0)
            # Broken off, it would leave the checks over the whole run without a verdict.
            if record.seconds < self.seconds_left:
                await self.side.run_again(record)

    def _judge_the_rest(self) -> None:
        """Judge the checks over many cases, and settle each remaining case with a reason."""
        for record in self.records:
            if record.result is not None:
                continue
            reason = self._reason_not_to_judge(record)
            if reason is not None:
                self.settle(record.unjudged(reason))
            elif record.checks_others:
                self.settle(self._checked(record))
            else:
                self.settle(record.unjudged(TIME_RAN_OUT))
        for record in self.records:
            if record.provisional and record.result is not None:
                self._settle(record, as_not_run_alone(record.result))

    def _checked(self, record: CaseRecord) -> CaseRecord:
        """`record` with the judgements of its check over other cases."""
        over, complete = self._exchanges_over(record.scenario), self.lifecycle.complete
        try:
            return judge_check(self.side.judge, record, over, complete=complete)
        except Exception as fault:  # a fault of the suite itself is no verdict on the target
            return record.unjudged(as_unjudged(fault, record.name))

    def _reason_not_to_judge(self, record: CaseRecord) -> Judgement | None:
        state, stop = self.lifecycle.state, self.lifecycle.stop
        if state is State.STOPPED and stop is not None:
            return judgement_of_stop(stop, record, self.records)
        skip = self.side.skip_reason(record)
        if skip is None and state is State.TARGET_GONE and "*" not in record.scenario.over:
            # The check would see some of its cases only.
            return Unjudged(stop.code, stop.reason, error=True) if stop is not None else None
        return skip

    def _exchanges_over(self, scenario: Scenario) -> list[Exchange]:
        """The exchanges that a scenario's check examines: those of the whole run, or those of the last runs
        of the cases that it names."""
        final = (exchange for record in self.records for exchange in record.own_exchanges)
        exchanges = self.side.trace if "*" in scenario.over else final
        return self.side.in_order(filter(scenario.covers, exchanges))

    def _assemble(self, started: datetime, begin: float) -> Report:
        side, trace = self.side, self.side.trace
        mark_superseded(trace, {record.key: record.own_exchanges for record in self.records})
        new_ids = trace.number(exchange.id for exchange in side.in_order(trace))
        results = [
            replace(result, exchanges=tuple(new_ids[old] for old in result.exchanges))
            for result in self.results
        ]
        options, complete = side.options, self.lifecycle.complete
        report = Report(
            side=side.name,
            target=side.target,
            dialect=options.dialect.name,
            spoken=side.spoken,
            seed=options.seed,
            verdict=verdict((result.outcome for result in results), complete=complete),
            started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=self.clock.monotonic() - begin,
            results=tuple(results),
            cause=mask_sentence(self._cause(results), side.mask),
            language=self._language,
            trace=trace,
        )
        trace.results = report.results
        trace.rules = {scenario.rule.id: scenario.record for scenario in self.chosen}
        trace.run = describe_report(report) | {
            "epoch": started.timestamp() - begin,
            "complete": complete,
            "strict": options.strict,
            "redacted": False,
            "exchanges": exchange_counts(trace),
            **side.run_data(),
        }
        trace.mask(side.mask)  # only now: the metadata may contain a secret too
        return report

    def _cause(self, results: Sequence[Result]) -> Sentence:
        """The statement beside the verdict: why it is no better, or what it leaves open."""
        state, stop = self.lifecycle.state, self.lifecycle.stop
        if state in (State.STOPPED, State.OUT_OF_TIME) and stop is not None:
            return stop.reason
        cause = self.side.cause(results)
        if not cause and not {result.outcome for result in results} & {Outcome.PASS, Outcome.FAIL}:
            return stop.reason if stop is not None else NOTHING_PASSED
        notice = _SHORT_SECRET if self.side.mask.covers_own_words else EMPTY
        return joined(Sentence(" "), [cause, notice])


_SHORT_SECRET = Sentence(
    "A secret of fewer than {least} bytes is masked even where it stands by chance: the trace of this run "
    "cannot be judged again. Use a longer one.",
    least=SHORT,
)
