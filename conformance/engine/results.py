"""Turns the judgements of one case into its result. The gravest finding decides.

Used for both sides. Knows nothing of how exchanges were made.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from conformance.engine.case_record import CaseRecord
from conformance.model.report import Result
from conformance.model.rules import (
    BROKEN,
    GRAVITY,
    NO_EVIDENCE,
    Finding,
    Held,
    Judgement,
    Outcome,
    Unjudged,
)
from conformance.model.sentence import EMPTY, Sentence, clauses
from conformance.scenario.records import Scenario

TIME_RAN_OUT = Sentence("the time ran out before this was judged (--timeout)")
_PACKAGE = Path(__file__).parents[1]
MOST_EXCHANGES = 20
"""Exchanges that a result cites at most."""


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


def judge_as_far_as_run(judgements: Sequence[Judgement], *, complete: bool) -> list[Judgement]:
    """The judgements of a check over many rules. What holds so far holds only when the run is complete:
    what did not run could have broken it."""
    stopped = any(isinstance(each, Unjudged) and each.error for each in judgements)
    if complete or stopped or any(isinstance(each, Finding) for each in judgements):
        return list(judgements)
    return [Unjudged("time-ran-out", TIME_RAN_OUT, error=True)]


def own_fault(fault: Exception) -> Sentence:
    """How a report describes a fault of Hookproof itself, which is no verdict on the target: its type and the
    innermost place in this package. The exception's message is left out: it may quote anything."""
    frames = traceback.extract_tb(fault.__traceback__)
    own = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
    place = f" at {Path(own[-1].filename).relative_to(_PACKAGE)}:{own[-1].lineno}" if own else ""
    kind = f"{type(fault).__name__}{place}"
    return Sentence("a fault of Hookproof itself: {kind}", kind=kind)
