"""Turns the judgements of one case into its result. The gravest finding decides.

Used for both sides. Knows nothing of how exchanges were made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conformance.engine.case_record import CaseRecord
from conformance.model.report import Result
from conformance.model.rules import BROKEN, GRAVITY, Finding, Judgement, Outcome, Unjudged
from conformance.model.text import NO_TEXT, Text

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
    reason not to judge.

    `context` are ids of exchanges to cite after those that show the finding. `reproduce` turns the
    ids that show the finding into shell lines, or None.
    """
    findings = [each for each in judgements if isinstance(each, Finding)]
    unjudged = [each for each in judgements if isinstance(each, Unjudged)]
    level, outcome, message = record.case.level, Outcome.PASS, NO_TEXT
    evidence: tuple[int, ...] = ()
    if findings:
        worst = max(findings, key=lambda finding: GRAVITY[finding.level])
        level, outcome, evidence = worst.level, BROKEN[worst.level, strict], worst.exchanges
        message = join_texts(
            [finding.message for finding in findings if finding.level is worst.level]
        )
    elif unjudged:
        gravest = max(unjudged, key=lambda reason: reason.error)
        outcome = Outcome.ERROR if gravest.error else Outcome.SKIP
        message, evidence = gravest.reason, gravest.exchanges
    return Result(
        rule=record.scenario.rule,
        case=record.case.name,
        level=level,
        outcome=outcome,
        message=message,
        seconds=record.seconds,
        exchanges=tuple(dict.fromkeys([*evidence, *context]))[:MOST_EXCHANGES],
        reproduce=reproduce(evidence),
        judged=record.judged,
    )


def own_fault(fault: Exception) -> Text:
    """How a report describes a fault of Hookproof itself, which is no verdict on the target."""
    kind = type(fault).__name__
    return Text(f"a fault of Hookproof itself: {kind}", f"Hookproof 自身的錯誤：{kind}")


def join_texts(texts: Sequence[Text]) -> Text:
    """Several statements as one, on one line."""
    return Text("; ".join(text.en for text in texts), "；".join(text.zh for text in texts))
