"""Judging a recorded run again: the same checks over the same exchanges, without a target.

What the run itself could not do (a need that was not given, a target that was gone, a time that ran
out) is told again as it was recorded: there are no exchanges to judge it by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from conformance import __version__
from conformance.checks.case import Judgement, judge
from conformance.checks.causes import past
from conformance.checks.facts import Facts
from conformance.checks.recorded import as_data, from_data
from conformance.checks.whole_run import CHECKS, NEED_BODIES, NEED_SECRET
from conformance.dialect import Secret, sign
from conformance.engine.results import result_of
from conformance.errors import InputError
from conformance.exchange import Exchange, Headers, Masked, Role
from conformance.report import Report, Result
from conformance.rules import Unjudged, verdict
from conformance.scenario import Case, Scenario, recorded
from conformance.schema import problems
from conformance.text import Text
from conformance.trace import Stored, Trace

TIME_RAN_OUT = Text(
    "the time ran out before this was judged (--timeout)", "時間用盡，未能判定（--timeout）"
)


def check(
    scenario: Scenario, over: Sequence[Exchange], facts: Facts, *, complete: bool
) -> list[Judgement]:
    """What the scenario's named check makes of the exchanges of a run, `complete` or cut short."""
    assert scenario.check is not None  # noqa: S101 - the caller has looked
    found = CHECKS[scenario.check](over, facts, scenario.rule.level)
    if not found and not (complete and over):
        return [Unjudged(TIME_RAN_OUT, error=True)]
    return found


def about(
    report: Report,
    facts: Facts,
    *,
    epoch: float,
    complete: bool,
    strict: bool,
    headers: Headers,
) -> dict[str, Any]:
    """What a trace says of its run, as `schemas/run.schema.json` describes it."""
    return {
        "hookproof": __version__,
        "side": report.side,
        "target": report.target,
        "dialect": report.dialect,
        "spoken": report.spoken,
        "seed": report.seed,
        "verdict": report.verdict.value,
        "cause": {"en": report.cause.en, "zh": report.cause.zh},
        "started": report.started,
        "seconds": report.seconds,
        "epoch": epoch,
        "complete": complete,
        "strict": strict,
        "headers": [name.decode() for name, _ in headers],
        "redacted": False,
        "facts": as_data(facts),
    }


def judge_again(
    stored: Stored, secret: Secret | None, *, strict: bool | None = None, language: str = "en"
) -> Report:
    """The report of a recorded run, its verdicts worked out anew from its exchanges.

    `secret` is the one of the run; what needs it is `skip` without it, and so is what needs bodies
    that are masked. `strict` is as in the run unless it is given. Raises InputError for a trace
    that does not say what was judged, or another secret than the run's.
    """
    run = _run(stored)
    if run["side"] != "receiver":
        raise InputError(f"{stored.path}: a run against a {run['side']} cannot be judged again yet")
    again = _Again(stored, run, secret, run["strict"] if strict is None else strict)
    results = tuple(map(again.result, stored.results))
    trace = Trace(again.exchanges)
    trace.run, trace.rules, trace.results = run, stored.rules, results
    return Report(
        side=run["side"],
        target=run["target"],
        dialect=run["dialect"],
        spoken=run["spoken"],
        seed=run["seed"],
        verdict=verdict((each.outcome for each in results), complete=run["complete"]),
        started=run["started"],
        seconds=run["seconds"],
        results=results,
        cause=Text(**run["cause"]),
        language=language,
        trace=trace,
    )


def _run(stored: Stored) -> dict[str, Any]:
    run = stored.run
    if run is None:
        raise InputError(
            f"{stored.path}: this trace does not say what was judged; a run with --trace writes one "
            "that does"
        )
    wrong = problems("run", run)
    if wrong:
        raise InputError(f"{stored.path} is damaged: {wrong[0]}")
    return run


class _Again:
    """One judging: what is known of the run, and its exchanges."""

    def __init__(
        self, stored: Stored, run: dict[str, Any], secret: Secret | None, strict: bool
    ) -> None:
        self._strict = strict
        self._complete = run["complete"]
        self._headers = tuple((name.encode(), b"") for name in run["headers"])
        self._secret = secret
        self.facts = from_data(run["facts"], secret or Secret(b""))
        self._forgotten = run["redacted"] and self.facts.learned is None
        self.exchanges = list(stored)
        self._scenarios = {
            each.rule.id: each for each in recorded(stored.rules.values(), str(stored.path))
        }
        self._of_case: dict[tuple[str | None, str | None], list[Exchange]] = {}
        for each in self.exchanges:
            if not each.superseded:
                self._of_case.setdefault((each.rule, each.case), []).append(each)
        if secret is not None:
            _check_secret(stored, self.exchanges, self.facts, secret)

    def result(self, was: Result) -> Result:
        """`was`, judged again where it can be."""
        scenario = self._scenarios.get(was.rule.id)
        if not was.judged or scenario is None:
            return was
        case = next((each for each in scenario.cases if each.name == was.case), None)
        if case is None:
            return was
        if scenario.check is not None and not case.steps:
            over = self._over(scenario)
            found = self._checked(scenario, over)
        else:
            over = self._of_case.get((was.rule.id, was.case), [])
            found = self._judged(scenario, case, over)
        result = result_of(
            scenario,
            case,
            found,
            over if found or case.steps else (),
            self.facts,
            self._headers,
            seconds=was.seconds,
            strict=self._strict,
        )
        return replace(result, judged=True)

    def _over(self, scenario: Scenario) -> list[Exchange]:
        if "*" in scenario.over:
            return self.exchanges
        return [
            each
            for each in self.exchanges
            if not each.superseded
            and any(fnmatchcase(each.rule or "", pattern) for pattern in scenario.over)
        ]

    def _checked(self, scenario: Scenario, over: Sequence[Exchange]) -> list[Judgement]:
        name = scenario.check
        if name not in CHECKS:
            return [Unjudged(_unknown(str(name)))]
        if name in NEED_SECRET and self._secret is None:
            return [Unjudged(_NEEDS_SECRET)]
        if name not in NEED_BODIES:
            return check(scenario, over, self.facts, complete=self._complete)
        # What is masked shows nothing, but what another shows is no less seen.
        whole = [each for each in over if Masked.CONTENT not in each.masked]
        found = check(scenario, whole, self.facts, complete=self._complete)
        return found or ([] if len(whole) == len(over) else [Unjudged(_NEEDS_BODIES)])

    def _judged(
        self, scenario: Scenario, case: Case, exchanges: Sequence[Exchange]
    ) -> list[Judgement]:
        masked = self._forgotten or any(each.masked for each in exchanges)
        effects = [e.processed for step in case.steps for e in step.expects]
        by_answers = not self.facts.observed and any(each not in (None, 0) for each in effects)
        if masked and by_answers:
            return [Unjudged(_NEEDS_BODIES)]
        found = judge(case, exchanges, self.facts)
        first = case is scenario.cases[0]
        return past(scenario.rule.id, first, found, exchanges, self.facts)


def _check_secret(
    stored: Stored, exchanges: Sequence[Exchange], facts: Facts, secret: Secret
) -> None:
    """Raise InputError for another secret than the one that plain messages were signed with."""
    for each in exchanges:
        if each.role is Role.PLAIN and each.signing is not None and not each.masked:
            signing, dialect = each.signing, facts.asked
            right = sign(dialect, secret, signing.timestamp, signing.body)
            if each.header(dialect.signature_header.encode()) != right:
                raise InputError(
                    f"--secret: not the one of this run: it does not fit the signatures in "
                    f"{stored.path}"
                )
            return


def _unknown(check: str) -> Text:
    return Text(
        f"this version has no check that is called {check}", f"此版本沒有名為 {check} 的檢查"
    )


_NEEDS_SECRET = Text("needs --secret", "需要 --secret")
_NEEDS_BODIES = Text("needs what is masked in this trace", "需要此追蹤檔中被遮蔽的內容")
