"""Runs the fuzz rules' campaigns on a thread beside the loop, each within its share of the time.

Knows nothing of how their results are reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance import fuzz
from conformance.engine.exchanges import Place
from conformance.engine.portal import Portal
from conformance.engine.receiver.example_runner import ExampleRunner
from conformance.engine.receiver.sequence_runner import SequenceRunner
from conformance.engine.receiver.session import Session
from conformance.fuzz.campaign.model import Actions, one_by_one, shortest
from conformance.fuzz.campaign.outcomes import Aborted, ExampleResult, Failure, TargetDown
from conformance.model.exchange import Role
from conformance.model.rules import Unjudged
from conformance.model.sentence import Sentence
from conformance.scenario.records import Scenario

CONFIRMATIONS = 3
"""How often a sequence is run again at most until it fails again."""
GITIGNORE = "# What fuzzing found, to be tried first next time; made by hookproof.\n*\n"


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """The result of a campaign of `planned` examples. When `out_of_time`, fewer were `attempted` for lack
    of time. `unsteady` examples failed once and not again. `end` is what stopped the campaign early,
    and `unjudged` why an example got no judgement."""

    planned: int
    attempted: int
    out_of_time: bool
    unsteady: int
    failures: Sequence[Failure]
    end: TargetDown | Aborted | None
    unjudged: Unjudged | None = None


async def run_campaign(session: Session, scenario: Scenario, seconds: float) -> CampaignResult:
    """Run one fuzz rule's campaign within `seconds` and a little more. Raises HarnessError when a step
    cannot be carried out."""
    options, portal = session.options, Portal()
    search = _sequences if scenario.fuzz == "sequence" else _examples
    folder = options.examples

    def work() -> CampaignResult:
        bounds = {
            "rule": scenario.rule.id,
            "target": _target_name(options.url),
            "example_limit": options.fuzz,
            "seed": options.seed,
            "until": session.clock.monotonic() + seconds,
            "monotonic": session.clock.monotonic,
            "examples": folder,
        }
        return search(session, scenario, portal, bounds)

    result = await portal.run(work)
    if result.end is None and not await _accepts_plain(session, scenario):
        result = replace(result, end=Aborted(Unjudged("plain-refused", _PLAIN_REFUSED, error=True)))
    if folder is not None and folder.is_dir():
        _keep_out_of_git(folder)
    return result


def _target_name(url: str) -> str:
    """The target's host and path. Without the port: a test's own server gets a random one."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"


def _examples(
    session: Session, scenario: Scenario, portal: Portal, bounds: dict[str, Any]
) -> CampaignResult:
    runner = ExampleRunner(session, scenario)
    campaign = fuzz.Campaign(confirm=lambda failure: portal.call(runner.confirm(failure)), **bounds)

    def attempt(batch: Sequence[Any]) -> ExampleResult:
        work = runner.attempt(batch, shrinking=campaign.shrinking, until=campaign.until)
        attempted, outcome = portal.call(work)
        campaign.tried += 0 if campaign.shrinking else attempted
        return outcome

    strategies = {
        "valid": lambda: fuzz.valid_examples,
        "malformed": lambda: fuzz.malformed_examples,
        "forged": lambda: fuzz.forged_examples(session.profile.scheme.signer.dialect),
    }
    campaign.messages(strategies[scenario.fuzz or ""](), attempt)
    return replace(_result_of(campaign, runner.unsteady), unjudged=runner.unjudged)


def _sequences(
    session: Session, scenario: Scenario, portal: Portal, bounds: dict[str, Any]
) -> CampaignResult:
    def rerun(actions: Actions, failure: Failure, *, patient: bool = False) -> Failure | None:
        """The failure of `actions`, if they fail in the same way."""
        outcome = portal.call(runner.run(actions, patient=patient))
        if isinstance(outcome, Failure) and outcome.what == failure.what:
            return outcome
        return None

    def confirm(failure: Failure) -> Failure | None:
        whole: Actions = failure.evidence.actions

        def fails(actions: Actions) -> bool:
            return rerun(actions, failure) is not None

        short = shortest(whole, fails, lambda: campaign.late)
        single = one_by_one(short)
        if single != short and not campaign.late and fails(single):
            short = shortest(single, fails, lambda: campaign.late)
        for actions in (short, whole):
            for _ in range(CONFIRMATIONS):
                confirmed = rerun(actions, failure, patient=True)
                if confirmed is not None:
                    return confirmed
        return None

    campaign = fuzz.Campaign(confirm=confirm, shrinks=False, **bounds)
    runner = SequenceRunner(session, scenario, campaign.knows)
    driver = fuzz.Driver(
        begin=runner.begin,
        act=lambda action: portal.call(runner.act(action)),
        repeatable=lambda: runner.model.repeatable,
        unsure=lambda: runner.model.unsure,
        settle=lambda: portal.call(runner.settle()),
        restarts=session.options.restart_command is not None,
    )
    fuzz.sequences(campaign, driver)
    return _result_of(campaign, unsteady=0)


def _result_of(campaign: fuzz.Campaign, unsteady: int) -> CampaignResult:
    return CampaignResult(
        planned=campaign.example_limit,
        attempted=campaign.tried,
        out_of_time=campaign.short,
        unsteady=campaign.unsteady + unsteady,
        failures=tuple(campaign.failures),
        end=campaign.stop_reason,
    )


async def _accepts_plain(session: Session, scenario: Scenario) -> bool:
    """Whether a plain valid message is still accepted after the campaign."""
    control = await session.plain(Role.CONTROL, Place(scenario.rule.id))
    return control.status in session.profile.accepted


def _keep_out_of_git(folder: Path) -> None:
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(GITIGNORE, encoding="utf-8")


_PLAIN_REFUSED = Sentence("not judged: a plain valid message sent afterwards was not accepted")
