"""Runs the fuzz rules' campaigns on a thread beside the loop, each within its share of the time.

Knows nothing of how their results are reported.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from conformance import fuzz
from conformance.engine.exchanges import Place
from conformance.engine.portal import Portal
from conformance.engine.receiver.example_runner import ExampleRunner
from conformance.engine.receiver.sequence_runner import SequenceRunner
from conformance.engine.receiver.session import Session
from conformance.fuzz.campaign.outcomes import Aborted
from conformance.model.exchange import Role
from conformance.model.rules import Unjudged
from conformance.model.sentence import Sentence
from conformance.scenario.records import Scenario

if TYPE_CHECKING:
    from conformance.fuzz.campaign.campaign import Campaign

GITIGNORE = "# What fuzzing found, to be tried first next time; made by hookproof.\n*\n"


async def run_campaign(session: Session, scenario: Scenario, seconds: float) -> Campaign:
    """Run one fuzz rule's campaign within `seconds` and a little more, and return it when it has ended.
    Raises HarnessError when a step cannot be carried out."""
    options, portal = session.options, Portal()
    runner: ExampleRunner | SequenceRunner
    limits: dict[str, Any]
    if scenario.fuzz == "sequence":
        # A sequence takes longer than a message, and is shrunk for as long as that takes.
        runner, limits = SequenceRunner(session, scenario), {"batch": 1, "shrink_seconds": math.inf}
    else:
        runner, limits = ExampleRunner(session, scenario), {}

    def work() -> Campaign:
        campaign: Campaign = fuzz.Campaign(
            rule=scenario.rule.id,
            target=_target_name(options.url),
            example_limit=options.fuzz,
            seed=options.seed,
            until=session.clock.monotonic() + seconds,
            monotonic=session.clock.monotonic,
            attempt=lambda batch: portal.call(runner.attempt(batch, campaign)),
            confirm=lambda failure: portal.call(runner.confirm(failure)),
            examples=options.examples,
            **limits,
        )
        campaign.search(_strategy(session, scenario))
        return campaign

    campaign = await portal.run(work)
    if campaign.stop_reason is None and not await _accepts_plain(session, scenario):
        campaign.stop_reason = Aborted(Unjudged("plain-refused", _PLAIN_REFUSED, error=True))
    if options.examples is not None and options.examples.is_dir():
        _keep_out_of_git(options.examples)
    return campaign


def _strategy(session: Session, scenario: Scenario) -> Any:
    match scenario.fuzz:
        case "valid":
            return fuzz.valid_examples
        case "malformed":
            return fuzz.malformed_examples
        case "forged":
            return fuzz.forged_examples(session.profile.scheme.signer.dialect)
        case _:
            return fuzz.sequences(restarts=session.options.restart_command is not None)


def _target_name(url: str) -> str:
    """The target's host and path. Without the port: a test's own server gets a random one."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"


async def _accepts_plain(session: Session, scenario: Scenario) -> bool:
    """Whether a plain valid message is still accepted after the campaign."""
    control = await session.plain(Role.CONTROL, Place(scenario.rule.id))
    return control.status in session.profile.accepted


def _keep_out_of_git(folder: Path) -> None:
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text(GITIGNORE, encoding="utf-8")


_PLAIN_REFUSED = Sentence("not judged: a plain valid message sent afterwards was not accepted")
