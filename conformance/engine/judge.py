"""Judges a case from its exchanges, and turns the judgements into its result: the same for a live run and for
a recorded one. The gravest finding decides.

Knows neither sides nor rules, nor how exchanges were made: a side's judge knows the checks.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from conformance.checks.messages import Tally
from conformance.engine.case_record import CannotRunError, CaseRecord
from conformance.engine.stalls import as_stalled, drop_unreliable, is_stalled
from conformance.model.errors import HarnessError
from conformance.model.exchange import HELD_UP, Exchange
from conformance.model.result import Result
from conformance.model.rules import (
    BROKEN,
    GRAVITY,
    NO_EVIDENCE,
    Finding,
    Held,
    Judgement,
    Level,
    Outcome,
    Unjudged,
)
from conformance.model.sentence import EMPTY, Sentence, clauses
from conformance.protocol.dialect import Secret
from conformance.scenario.records import Case, Scenario

_LOG = logging.getLogger("hookproof")

TIME_RAN_OUT = Unjudged(
    "time-ran-out", Sentence("the time ran out before this was judged (--timeout)"), error=True
)
_PACKAGE = Path(__file__).parents[1]
MOST_EXCHANGES = 20
"""Exchanges that a result cites at most."""


class Judge(Protocol):
    """How one side is judged, by what is known of its target; and what cannot be judged when something is
    missing, as in a recorded run. Pure."""

    def judge(self, case: Case, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """The judgements on a case that made these exchanges."""

    def check(self, name: str, exchanges: Iterable[Exchange], level: Level) -> Sequence[Judgement]:
        """The judgements of the named check over the exchanges of many cases, which can be iterated over
        more than once."""

    def tally(self, name: str, level: Level) -> Tally:
        """The same of a message-scoped check, to which the messages are added one by one."""

    def result(self, record: CaseRecord, *, strict: bool) -> Result:
        """The result of a case: its judgements without those that another rule reports, in words."""

    def needs_secret(self, record: CaseRecord) -> bool:
        """Whether the case cannot be judged without the secret."""

    def needs_bodies(self, record: CaseRecord) -> bool:
        """Whether the case cannot be judged by masked exchanges."""

    def is_masked(self, record: CaseRecord, exchange: Exchange) -> bool:
        """Whether something is masked that a case which needs bodies reads."""

    def fits(self, exchange: Exchange, secret: Secret) -> bool | None:
        """Whether an exchange shows that `secret` is the run's, or that it is not; None: neither."""


def judge_case(judge: Judge, record: CaseRecord, lost: float = 0.0) -> CaseRecord:
    """`record` with the judgements on the exchanges that it made. `lost` is the most seconds for which this
    process was stalled meanwhile; what they can explain is not evidence."""
    judgements = judge.judge(record.case, record.exchanges)
    reliable = drop_unreliable(judgements, lost)
    unmeasured = any(exchange.detail == HELD_UP for exchange in record.exchanges)
    found = any(isinstance(judgement, Finding) for judgement in reliable)
    stalled = is_stalled(judgements, lost) or (unmeasured and not found)
    return replace(
        record,
        judgements=as_stalled(judgements) if stalled else reliable,
        stalled=stalled,
        judged=not stalled,
    )


def judge_check(
    judge: Judge, record: CaseRecord, exchanges: Sequence[Exchange], *, complete: bool
) -> CaseRecord:
    """`record` with the judgements of its check over `exchanges`."""
    judgements = judge.check(record.scenario.check or "", exchanges, record.case.level)
    return conclude(replace(record, exchanges=exchanges), judgements, complete=complete)


def conclude(record: CaseRecord, judgements: Sequence[Judgement], *, complete: bool) -> CaseRecord:
    """`record` with the `judgements` of its check. Of a run that is not `complete` the check has seen some
    cases only: they may break a rule, but do not show that it holds."""
    stopped = any(isinstance(each, Unjudged) and each.error for each in judgements)
    if not (complete or stopped or any(isinstance(each, Finding) for each in judgements)):
        judgements = [TIME_RAN_OUT]
    return replace(record, judgements=judgements, judged=True)


def decide_result(
    record: CaseRecord,
    judgements: Sequence[Judgement],
    context: Sequence[int],
    *,
    strict: bool,
    reproduce: Callable[[Sequence[int]], str | None] = lambda evidence: None,
) -> Result:
    """The result for the case of `record`: the gravest finding of `judgements` decides, else the gravest
    reason not to judge. Without any judgement nothing was seen, and it is not judged either.

    `context` are ids of exchanges to cite after those that show the finding. `reproduce` turns the
    ids that show the finding into shell lines, or None.
    """
    findings = [each for each in judgements if isinstance(each, Finding)]
    unjudged = [each for each in judgements if isinstance(each, Unjudged)]
    level, outcome, code, message = record.case.level, Outcome.PASS, None, EMPTY
    evidence: tuple[int, ...] = ()
    if findings:
        worst = max(findings, key=lambda finding: GRAVITY[finding.level])
        level, outcome, evidence = worst.level, BROKEN[worst.level, strict], worst.exchanges
        code = worst.code
        message = clauses(finding.message for finding in findings if finding.level is worst.level)
    elif unjudged or not judgements:
        gravest = max(unjudged, key=lambda reason: reason.error, default=NO_EVIDENCE)
        outcome = Outcome.ERROR if gravest.error else Outcome.SKIP
        code, message, evidence = gravest.code, gravest.reason, gravest.exchanges
    elif not context:
        evidence = tuple(number for each in judgements for number in _evidence(each))
    return Result(
        rule=record.scenario.rule,
        case=record.case.name,
        level=level,
        outcome=outcome,
        code=code,
        message=message,
        seconds=record.seconds,
        exchanges=tuple(dict.fromkeys([*evidence, *context]))[:MOST_EXCHANGES],
        reproduce=reproduce(evidence),
        judged=record.judged,
    )


def refer_to_cause(result: Result, scenarios: Iterable[Scenario]) -> Result:
    """`result`, with a reference to the rule among `scenarios` that reports why it could not be judged."""
    if result.outcome not in (Outcome.SKIP, Outcome.ERROR):
        return result
    explaining = [each.rule.id for each in scenarios if result.code in each.explains]
    if not explaining or result.rule.id in explaining:
        return result
    return replace(result, message=result.message + Sentence(" (see {rule})", rule=explaining[0]))


def _evidence(judgement: Judgement) -> tuple[int, ...]:
    return judgement.evidence if isinstance(judgement, Held) else ()


def as_unjudged(fault: Exception, name: str) -> Unjudged:
    """Why the case or the rule `name` is not judged, when carrying it out or judging it raised `fault`. A
    fault of Hookproof itself is logged."""
    match fault:
        case CannotRunError():
            return fault.unjudged
        case HarnessError():
            return Unjudged("step-failed", fault.sentence, error=True)
    _LOG.error("%s could not be judged", name, exc_info=fault)
    return Unjudged("own-fault", own_fault(fault), error=True)


def own_fault(fault: Exception) -> Sentence:
    """How a report describes a fault of Hookproof itself, which is no verdict on the target: its type and the
    innermost place in this package. The exception's message is left out: it may quote anything."""
    frames = traceback.extract_tb(fault.__traceback__)
    own = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
    place = f" at {Path(own[-1].filename).relative_to(_PACKAGE)}:{own[-1].lineno}" if own else ""
    kind = f"{type(fault).__name__}{place}"
    return Sentence("a fault of Hookproof itself: {kind}", kind=kind)
