"""How the haul of a hunt reads in a result: what failed, the smallest example as text and as bytes, a
line that sends it again, and the seed."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from conformance.engine.receiver.example_runner import Shown
from conformance.engine.receiver.fuzz_driver import CampaignResult, campaign
from conformance.engine.receiver.results import Told
from conformance.engine.receiver.sequence_runner import SequenceShown
from conformance.engine.receiver.session import Session
from conformance.engine.results import own_fault
from conformance.fuzz.campaign.outcomes import Aborted, TargetDown
from conformance.model.errors import HarnessError
from conformance.model.escaping import visible
from conformance.model.rules import GRAVITY, Finding, Judgement, Level, Unjudged
from conformance.model.text import Text
from conformance.scenario.records import Scenario
from conformance.wire.curl import curl

LONGEST = 600
"""Characters of a body that are shown."""
_REPEATED = re.compile(r"(.{1,8}?)\1{19,}", re.DOTALL)
FOUND = "receiver.found.sequence"
"""The id of a sequence that was found, in a file of its own."""

_LOG = logging.getLogger("hookproof")
_SECRET = "env:HOOKPROOF_SECRET"  # noqa: S105 - where it is, not what it is


async def fuzzed(session: Session, scenario: Scenario, seconds: float) -> Told:
    """Judge a fuzz rule within `seconds` and a little more."""
    try:
        result = await campaign(session, scenario, seconds)
    except HarnessError as fault:
        return Told([Unjudged(Text(str(fault), str(fault)), error=True)])
    except Exception as fault:  # a fault of the suite's own is no verdict on the target
        _LOG.exception("%s could not be judged", scenario.rule.id)
        return Told([Unjudged(own_fault(fault), error=True)])
    return Told(
        found=judgements(result, session),
        seen=tally(result, session),
        again=reproduced(result, scenario, session),
        dead=isinstance(result.ended, TargetDown),
    )


def judgements(result: CampaignResult, session: Session) -> list[Judgement]:
    """What a haul shows: one finding of all that failed, gravest first, or why nothing was judged."""
    if isinstance(result.ended, Aborted) and not result.found:
        return [result.ended.reason]
    shown = shown_of(result)
    if not shown:
        return []
    texts = [_told(each, session) for each in shown]
    if len(texts) > 1:
        texts = [Text(f"({n}) ", f"（{n}）") + text for n, text in enumerate(texts, 1)]
    message = joined([*texts, tally(result, session)])
    ids = [
        number
        for each in shown
        for number in (each.exchanges if isinstance(each, SequenceShown) else (each.exchange.id,))
    ]
    return [Finding(shown[0].level, message, tuple(ids))]


def shown_of(result: CampaignResult) -> list[Shown | SequenceShown]:
    """What is to be shown of a haul: what it died of, then failures by their weight."""
    last = [result.ended.evidence] if isinstance(result.ended, TargetDown) else []
    failures = sorted(result.found, key=lambda each: -GRAVITY[each.evidence.level])
    return [*last, *(each.evidence for each in failures)]


def tally(result: CampaignResult, session: Session) -> Text:
    """How many examples were tried, with which seed, and what is to be said of them."""
    seed = session.options.seed
    said = Text(f"{result.tried} examples, seed {seed}", f"{result.tried} 個範例，種子 {seed}")
    if result.tried < result.wanted and not result.short:
        said += Text(
            f" (of {result.wanted}: it ended with what it had found)",
            f"（原定 {result.wanted} 個，因已找到的問題而結束）",
        )
    if result.short:
        said = Text(
            f"cut short by the time: {result.tried} of {result.wanted} examples, seed {seed} (a longer "
            "--timeout tries more)",
            f"因時間不足而提前結束：{result.wanted} 個範例中只試了 {result.tried} 個，種子 {seed}"
            "（加長 --timeout 可試更多）",
        )
    if result.unsteady:
        said += Text(
            f"; {result.unsteady} failed once, and not when sent again",
            f"；{result.unsteady} 個失敗過一次，重發後未再出現",
        )
    return said


def reproduced(result: CampaignResult, scenario: Scenario, session: Session) -> str | None:
    """Shell lines, one for each failure, that show it again."""
    if session.profile.scheme.signer.secret != session.options.secret:
        return None  # signed with a secret that was decoded first
    shown = shown_of(result)
    lines = [_line(each, scenario, session, n) for n, each in enumerate(shown, 1)]
    return "\n".join(line for line in lines if line is not None) or None


def _told(shown: Shown | SequenceShown, session: Session) -> Text:
    level = Text(f" ({shown.level})", f"（{shown.level}）")
    if isinstance(shown, SequenceShown):
        steps = "; ".join(_in_short(each) for each in shown.steps)
        return shown.said + level + Text(f": {steps}", f"：{steps}")
    body = shown.exchange.request.body
    where = shown.where
    said = shown.said + level + Text(f", with {where.en}", f"，{where.zh}")
    return said + Text(f": {_readable(body)}", f"：{_readable(body)}")


def _readable(body: bytes) -> str:
    """A body as text with what would not be seen spelled out, and as bytes where these say more."""
    text = _cut(visible(body.decode("utf-8", "backslashreplace")).replace("\n", "\\n"))
    exact = _cut(repr(body)[2:-1])
    size = f" ({len(body):,} bytes)" if len(body) > LONGEST else ""
    return text + size if exact == text else f"{text}{size} b'{exact}'"


def _cut(text: str) -> str:
    """`text` with its repetitions told and not shown, and its end left out if it is long."""
    told = _REPEATED.sub(lambda run: f"{run[1]}…(×{len(run[0]) // len(run[1])})", text)
    return told if len(told) <= LONGEST else told[:LONGEST] + "…"


def _in_short(step: Any) -> str:
    """A step as the scenario file has it, on one line and without what is expected."""
    words = {name: value for name, value in step.items() if name != "expect"}
    return _flow(words)[1:-1]


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text.strip()


def _line(
    shown: Shown | SequenceShown, scenario: Scenario, session: Session, number: int
) -> str | None:
    if isinstance(shown, SequenceShown):
        return _rerun(shown, scenario, session, number)
    profile = session.profile
    return curl(shown.exchange, profile.scheme.signer.dialect, session.options.headers)


def _rerun(shown: SequenceShown, scenario: Scenario, session: Session, number: int) -> str:
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
    rule = f"{FOUND}-{number}"
    place = f"sequence-{number}.yaml"
    words.append(f"--scenarios {place} --rules {rule}")
    return f"cat > {place} <<'END'\n{as_file(shown, scenario, rule)}END\n{' '.join(words)}"


def as_file(shown: SequenceShown, scenario: Scenario, rule: str) -> str:
    """The sequence as a scenario file for --scenarios, under the id `rule`."""
    found = scenario.rule
    steps = "\n".join(f"      - {_flow(step)}" for step in shown.steps)
    return (
        "rules:\n"
        f"  - rule: {rule}\n"
        f"    level: {Level.MUST}\n"
        f"    source: {found.source or 'null'}\n"
        f"    title: {_flow({'en': found.title.en, 'zh-Hant': found.title.zh})}\n"
        "    needs: [observer]\n"
        "    alone: true\n"
        f"    steps:\n{steps}\n"
    )


def joined(messages: Sequence[Text]) -> Text:
    """Several statements as one, a line each."""
    return Text("\n".join(each.en for each in messages), "\n".join(each.zh for each in messages))
