"""From what a case showed to one result: the gravest finding decides, and says how to see it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conformance.model.report import Result
from conformance.model.rules import BROKEN, GRAVITY, Finding, Judgement, Outcome, Unjudged
from conformance.model.text import NO_TEXT, Text
from conformance.scenario.records import Case, Scenario

MOST_EXCHANGES = 20


def concluded(
    scenario: Scenario,
    case: Case,
    found: Sequence[Judgement],
    beside: Sequence[int],
    *,
    seconds: float,
    strict: bool,
    reproduce: Callable[[Sequence[int]], str | None] = lambda told: None,
) -> Result:
    """What `found` comes to: the gravest finding decides. `beside` are the ids of exchanges that are
    shown after the telling ones, from which `reproduce` makes a shell line."""
    findings = [each for each in found if isinstance(each, Finding)]
    unjudged = [each for each in found if isinstance(each, Unjudged)]
    level, outcome, message = case.level, Outcome.PASS, NO_TEXT
    told: tuple[int, ...] = ()
    if findings:
        worst = max(findings, key=lambda each: GRAVITY[each.level])
        level, outcome, told = worst.level, BROKEN[worst.level, strict], worst.exchanges
        message = joined([each.message for each in findings if each.level is worst.level])
    elif unjudged:
        worst_unjudged = max(unjudged, key=lambda each: each.error)
        outcome = Outcome.ERROR if worst_unjudged.error else Outcome.SKIP
        message, told = worst_unjudged.reason, worst_unjudged.exchanges
    return Result(
        rule=scenario.rule,
        case=case.name,
        level=level,
        outcome=outcome,
        message=message,
        seconds=seconds,
        exchanges=tuple(dict.fromkeys([*told, *beside]))[:MOST_EXCHANGES],
        reproduce=reproduce(told),
    )


def own_fault(fault: Exception) -> Text:
    """What is told of a fault of the suite's own, which is no verdict on the target."""
    kind = type(fault).__name__
    return Text(f"a fault of Hookproof itself: {kind}", f"Hookproof 自身的錯誤：{kind}")


def joined(messages: Sequence[Text]) -> Text:
    """Several statements as one."""
    return Text("; ".join(each.en for each in messages), "；".join(each.zh for each in messages))
