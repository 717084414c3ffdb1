"""Why a receiver's scenario cannot be judged with the given options and what the target showed. Pure."""

from __future__ import annotations

from conformance.checks.receiver.case import UNOBSERVED
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.engine.metadata import NO_FUZZ
from conformance.model.rules import Unjudged
from conformance.model.sentence import Sentence, clauses
from conformance.options.receiver import Options
from conformance.scenario.records import Scenario


def skip_reason(scenario: Scenario, options: Options, profile: ReceiverProfile) -> Unjudged | None:
    """Why the scenario cannot be judged; None when it can. An error when the observer is unusable."""
    if scenario.fuzz and not options.fuzz:
        return Unjudged("fuzz-off", NO_FUZZ)
    available = {
        "load": False,
        "observer": profile.observed or profile.inferred is not None,
        "observer-url": profile.observed,
        "restart": options.restart_command is not None,
        "also-url": options.also_url is not None,
        "separator": profile.scheme.signer.dialect.separated,
        "signed-timestamp": profile.scheme.signer.dialect.signs_timestamp,
    }
    observes = any(need.startswith("observer") for need in scenario.needs)
    missing = [
        need
        for need in scenario.needs
        if not available[need] and not (profile.blind is not None and need.startswith("observer"))
    ]
    if missing:
        return Unjudged(f"needs-{missing[0]}", clauses([NEEDS[need] for need in missing]))
    if profile.blind is not None and observes:
        return Unjudged("observer-unreliable", profile.blind, error=True)
    return None


NEEDS = {
    "load": Sentence("judged by `hookproof load`"),
    "observer": UNOBSERVED,
    "observer-url": Sentence("needs --observer-url"),
    "restart": Sentence("needs --restart-command"),
    "also-url": Sentence("needs --also-url"),
    "signed-timestamp": Sentence("does not apply in a dialect that does not sign the timestamp"),
    "separator": Sentence(
        "does not apply in a dialect without a separator between timestamp and body"
    ),
}
"""What a scenario needs → the message when it is missing."""
