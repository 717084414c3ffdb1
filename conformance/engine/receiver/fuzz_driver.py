"""The fuzz rules of a run: hunts on a thread beside the loop, within their share of the time, and what
they come to as a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance import fuzz
from conformance.engine.exchanges import At
from conformance.engine.portal import Bridge
from conformance.engine.receiver.example_runner import ExampleRunner
from conformance.engine.receiver.sequence_runner import Sequences
from conformance.engine.receiver.session import Session
from conformance.fuzz.campaign.model import Actions, one_by_one, shortest
from conformance.fuzz.campaign.outcomes import Aborted, ExampleResult, Failure, TargetDown
from conformance.model.exchange import Role
from conformance.model.rules import Unjudged
from conformance.model.text import Text
from conformance.scenario.records import Scenario

CONFIRMED = 3
"""So often a sequence is carried out once more until it fails again."""
IGNORED = "# What fuzzing found, to be tried first next time; made by hookproof.\n*\n"


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """What a hunt came to. `tried` of `wanted` examples, fewer for want of time when `short`;
    `unsteady` failed once and not again; `ended` is what put an end to it, if anything did."""

    wanted: int
    tried: int
    short: bool
    unsteady: int
    found: Sequence[Failure]
    ended: TargetDown | Aborted | None


async def campaign(session: Session, scenario: Scenario, seconds: float) -> CampaignResult:
    """Judge one fuzz rule within `seconds` and a little more. Raises HarnessError when a step could
    not be carried out."""
    options, bridge = session.options, Bridge()
    search = _sequences if scenario.fuzz == "sequence" else _examples
    kept = options.examples
    found: list[CampaignResult] = []

    def work() -> None:
        bounds = {
            "rule": scenario.rule.id,
            "target": _place(options.url),
            "example_limit": options.fuzz,
            "seed": options.seed,
            "until": session.clock.monotonic() + seconds,
            "monotonic": session.clock.monotonic,
            "examples": kept,
        }
        found.append(search(session, scenario, bridge, bounds))

    await bridge.run(work)
    result = found[0]
    if result.ended is None and not await _accepts_plain(session, scenario):
        result = replace(result, ended=Aborted(Unjudged(_PLAIN_REFUSED, error=True)))
    if kept is not None and kept.is_dir():
        _keep_out_of_git(kept)
    return result


def _place(url: str) -> str:
    """Where a target is, but for the port, which a test's own server has from chance."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"


def _examples(
    session: Session, scenario: Scenario, bridge: Bridge, bounds: dict[str, Any]
) -> CampaignResult:
    runner = ExampleRunner(session, scenario)
    hunted = fuzz.Campaign(confirm=lambda failure: bridge.ask(runner.confirm(failure)), **bounds)

    def attempt(batch: Sequence[Any]) -> ExampleResult:
        work = runner.attempt(batch, shrinking=hunted.shrinking, until=hunted.until)
        tried, seen = bridge.ask(work)
        hunted.tried += 0 if hunted.shrinking else tried
        return seen

    strategies = {
        "valid": lambda: fuzz.valid_examples,
        "malformed": lambda: fuzz.malformed_examples,
        "forged": lambda: fuzz.forged_examples(session.profile.scheme.signer.dialect),
    }
    hunted.messages(strategies[scenario.fuzz or ""](), attempt)
    return _haul(hunted, runner.unsteady)


def _sequences(
    session: Session, scenario: Scenario, bridge: Bridge, bounds: dict[str, Any]
) -> CampaignResult:
    def same(actions: Actions, failure: Failure, *, patient: bool = False) -> Failure | None:
        seen = bridge.ask(carried.run(actions, patient=patient))
        return seen if isinstance(seen, Failure) and seen.what == failure.what else None

    def confirm(failure: Failure) -> Failure | None:
        whole: Actions = failure.evidence.actions

        def fails(actions: Actions) -> bool:
            return same(actions, failure) is not None

        short = shortest(whole, fails, lambda: hunted.late)
        single = one_by_one(short)
        if single != short and not hunted.late and fails(single):
            short = shortest(single, fails, lambda: hunted.late)
        for actions in (short, whole):
            for _ in range(CONFIRMED):
                again = same(actions, failure, patient=True)
                if again is not None:
                    return again
        return None

    hunted = fuzz.Campaign(confirm=confirm, shrinks=False, **bounds)
    carried = Sequences(session, scenario, hunted.knows)
    driver = fuzz.Driver(
        begin=carried.begin,
        act=lambda action: bridge.ask(carried.act(action)),
        repeatable=lambda: carried.model.repeatable,
        unsure=lambda: carried.model.unsure,
        settle=lambda: bridge.ask(carried.settle()),
        restarts=session.options.restart_command is not None,
    )
    fuzz.sequences(hunted, driver)
    return _haul(hunted, 0)


def _haul(hunted: fuzz.Campaign, unsteady: int) -> CampaignResult:
    return CampaignResult(
        wanted=hunted.example_limit,
        tried=hunted.tried,
        short=hunted.short,
        unsteady=hunted.unsteady + unsteady,
        found=tuple(hunted.failures),
        ended=hunted.stop_reason,
    )


async def _accepts_plain(session: Session, scenario: Scenario) -> bool:
    """Whether a plain valid message is accepted after the hunt."""
    control = await session.plain(Role.CONTROL, At(scenario.rule.id))
    return control.status in session.profile.accepted


def _keep_out_of_git(folder: Path) -> None:
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(IGNORED, encoding="utf-8")


_PLAIN_REFUSED = Text(
    "not judged: a plain valid message sent afterwards was not accepted",
    "無法判定：之後發送的普通有效訊息未被接受",
)
