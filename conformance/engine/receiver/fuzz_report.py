"""Describes a campaign's result in a report: what failed, the smallest example as text and as bytes, a
shell line that sends it again, and the seed.

Knows nothing of how examples are drawn and tried.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import yaml

from conformance.engine.case_record import FuzzJudgement
from conformance.engine.judge import as_unjudged
from conformance.engine.receiver.example_runner import ExampleEvidence
from conformance.engine.receiver.fuzz_driver import run_campaign
from conformance.engine.receiver.sequence_runner import SequenceEvidence
from conformance.engine.receiver.session import Session
from conformance.fuzz.campaign.outcomes import Aborted, TargetDown
from conformance.model.escaping import visible
from conformance.model.exchange import Role
from conformance.model.rules import GRAVITY, Finding, Judgement, Level, Unjudged, held
from conformance.model.sentence import Sentence, joined
from conformance.scenario.records import Scenario
from conformance.wire.curl import curl

if TYPE_CHECKING:
    from conformance.fuzz.campaign.campaign import Campaign

Evidence = ExampleEvidence | SequenceEvidence

MOST_CHARACTERS = 600
"""Characters of a body that are shown."""
MOST_UNJUDGED = 0.1
"""The share of the examples that may remain unjudged when the others hold."""
MOST_UNSTEADY = 0.1
"""The share of the examples that may fail once, and not when sent again, when the others hold."""
RULE_ID = "receiver.found.sequence"
"""The beginning of the ids under which failing sequences can be saved as rules."""

_REPETITION = re.compile(r"(.{1,8}?)\1{19,}", re.DOTALL)
_SECRET = "env:HOOKPROOF_SECRET"  # noqa: S105 - where the secret is, not the secret


async def judge_by_fuzzing(session: Session, scenario: Scenario, seconds: float) -> FuzzJudgement:
    """Judge a fuzz rule within `seconds` and a little more."""
    try:
        campaign = await run_campaign(session, scenario, seconds)
    except Exception as fault:  # none of these is a verdict on the target
        return FuzzJudgement([as_unjudged(fault, scenario.rule.id)])
    return FuzzJudgement(
        judgements=[judgement_of(campaign, scenario, session)],
        summary=summary(campaign, session),
        reproduce=shell_lines(campaign, scenario, session),
        target_down=isinstance(campaign.stop_reason, TargetDown),
    )


def judgement_of(campaign: Campaign, scenario: Scenario, session: Session) -> Judgement:
    """One finding about all that failed, gravest first; or why nothing was judged."""
    evidence = evidence_of(campaign)
    if not evidence and isinstance(campaign.stop_reason, Aborted):
        return campaign.stop_reason.reason
    if not evidence and len(campaign.unjudged) > MOST_UNJUDGED * campaign.tried:
        return campaign.unjudged[0]
    if not evidence and campaign.unsteady > MOST_UNSTEADY * campaign.tried:
        return Unjudged("unsteady", summary(campaign, session), error=True)
    if not evidence:
        rule = scenario.rule
        probes = [e for e in session.trace if e.rule == rule.id and e.role is Role.PROBE]
        answered = [exchange for exchange in probes if exchange.status is not None]
        return held(
            rule.level, answered, Unjudged("time-ran-out", summary(campaign, session), error=True)
        )
    texts = [_describe(each) for each in evidence]
    if len(texts) > 1:
        texts = [Sentence("({number}) ", number=n) + text for n, text in enumerate(texts, 1)]
    message = joined(Sentence("\n"), [*texts, summary(campaign, session)])
    ids = tuple(exchange for each in evidence for exchange in _exchanges(each))
    return Finding(evidence[0].level, "examples-fail", message, ids)


def _exchanges(evidence: Evidence) -> tuple[int, ...]:
    if isinstance(evidence, SequenceEvidence):
        return evidence.exchanges
    return (evidence.exchange.id,)


def evidence_of(campaign: Campaign) -> list[Evidence]:
    """The evidence to report: of what took the target down, then of the failures, gravest first."""
    last = [campaign.stop_reason.evidence] if isinstance(campaign.stop_reason, TargetDown) else []
    failures = sorted(campaign.failures, key=lambda failure: -GRAVITY[failure.evidence.level])
    return [*last, *(failure.evidence for failure in failures)]


def summary(campaign: Campaign, session: Session) -> Sentence:
    """How many examples were tried and with which seed; and whether the time or failures ended the
    campaign early."""
    seed = session.options.seed
    text = Sentence("{attempted} examples, seed {seed}", attempted=campaign.tried, seed=seed)
    if campaign.tried < campaign.example_limit and not campaign.short:
        text += Sentence(
            " (of {planned}: stopped early because of the failures)", planned=campaign.example_limit
        )
    if campaign.short:
        text = Sentence(
            "cut short by the time: {attempted} of {planned} examples, seed {seed} (a longer "
            "--timeout tries more)",
            attempted=campaign.tried,
            planned=campaign.example_limit,
            seed=seed,
        )
    if campaign.unsteady:
        text += Sentence(
            "; {unsteady} failed once, and not when sent again", unsteady=campaign.unsteady
        )
    if campaign.unjudged:
        text += Sentence(
            "; {unjudged} could not be judged, because requests got no answer",
            unjudged=len(campaign.unjudged),
        )
    return text


def shell_lines(campaign: Campaign, scenario: Scenario, session: Session) -> str | None:
    """Shell lines, one for each failure, that reproduce it."""
    if session.profile.scheme.signer.secret != session.options.secret:
        return None  # the target decodes the secret first; a shell line would not
    lines = [
        _rerun(evidence, scenario, session, number)
        if isinstance(evidence, SequenceEvidence)
        else curl(evidence.exchange, session.profile.scheme.signer.dialect, session.options.headers)
        for number, evidence in enumerate(evidence_of(campaign), 1)
    ]
    return "\n".join(line for line in lines if line is not None) or None


def _describe(evidence: Evidence) -> Sentence:
    level = Sentence(" ({level})", level=evidence.level)
    if isinstance(evidence, SequenceEvidence):
        steps = "; ".join(_in_short(step) for step in evidence.steps)
        return evidence.message + level + Sentence(": {steps}", steps=steps)
    body = _readable(evidence.exchange.request.body)
    where = evidence.where
    text = evidence.message + level + Sentence(", with {where}", where=where)
    return text + Sentence(": {body}", body=body)


def _readable(body: bytes) -> str:
    """A body as text, with invisible characters escaped; and as bytes too where they say more."""
    text = _shorten(visible(body.decode("utf-8", "backslashreplace")).replace("\n", "\\n"))
    exact = _shorten(repr(body)[2:-1])
    size = f" ({len(body):,} bytes)" if len(body) > MOST_CHARACTERS else ""
    return text + size if exact == text else f"{text}{size} b'{exact}'"


def _shorten(text: str) -> str:
    """`text` with long repetitions counted instead of shown, cut off at MOST_CHARACTERS."""
    short = _REPETITION.sub(lambda run: f"{run[1]}…(×{len(run[0]) // len(run[1])})", text)
    return short if len(short) <= MOST_CHARACTERS else short[:MOST_CHARACTERS] + "…"


def _in_short(step: Any) -> str:
    """A step as the scenario file has it, on one line and without its expectations."""
    words = {name: value for name, value in step.items() if name != "expect"}
    return _flow(words)[1:-1]


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text.strip()


def _rerun(evidence: SequenceEvidence, scenario: Scenario, session: Session, number: int) -> str:
    """Commands that save the sequence as a scenario file and run it."""
    options = session.options
    words = ["hookproof check receiver", shlex.quote(options.url), f"--secret {_SECRET}"]
    if options.observer_url is not None:
        words.append(f"--observer-url {shlex.quote(options.observer_url)}")
    if options.restart_command is not None:
        words.append(f"--restart-command {shlex.quote(options.restart_command)}")
    if options.dialect.name != "guide":
        words.append(f"--dialect {shlex.quote(options.dialect.name)}")
    for name, _ in options.headers:
        variable = name.decode().upper().replace("-", "_")
        words.append(f'--header "{name.decode()}: ${{{variable}}}"')
    rule_id = f"{RULE_ID}-{number}"
    path = f"sequence-{number}.yaml"
    words.append(f"--scenarios {path} --rules {rule_id}")
    content = scenario_file(evidence, scenario, rule_id)
    return f"cat > {path} <<'END'\n{content}END\n{' '.join(words)}"


def scenario_file(evidence: SequenceEvidence, scenario: Scenario, rule_id: str) -> str:
    """The sequence as the text of a scenario file for --scenarios, under `rule_id`."""
    rule = scenario.rule
    steps = "\n".join(f"      - {_flow(step)}" for step in evidence.steps)
    return (
        "rules:\n"
        f"  - rule: {rule_id}\n"
        f"    level: {Level.MUST}\n"
        f"    source: {rule.source or 'null'}\n"
        f"    title: {_flow({'en': rule.title.en, 'zh-Hant': rule.title.zh or rule.title.en})}\n"
        "    needs: [observer]\n"
        "    alone: true\n"
        f"    steps:\n{steps}\n"
    )
