"""Why a receiver's scenario cannot be judged with the given options and what the target showed. Pure."""

from __future__ import annotations

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.engine.metadata import NO_FUZZ
from conformance.engine.results import join_texts
from conformance.model.rules import Unjudged
from conformance.model.text import Text
from conformance.options.receiver import Options
from conformance.scenario.records import Scenario


def skip_reason(scenario: Scenario, options: Options, profile: ReceiverProfile) -> Unjudged | None:
    """Why the scenario cannot be judged; None when it can. An error when the observer is unusable."""
    if scenario.fuzz and not options.fuzz:
        return Unjudged("fuzz-off", NO_FUZZ)
    available = {
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
        return Unjudged(f"needs-{missing[0]}", join_texts([NEEDS[need] for need in missing]))
    if profile.blind is not None and observes:
        return Unjudged("observer-unreliable", profile.blind, error=True)
    return None


NEEDS = {
    "observer": Text(
        "needs --observer-url, or answers that tell a repeat from a first message",
        "需要 --observer-url，或能區分重複與首次訊息的響應",
    ),
    "observer-url": Text("needs --observer-url", "需要 --observer-url"),
    "restart": Text("needs --restart-command", "需要 --restart-command"),
    "also-url": Text("needs --also-url", "需要 --also-url"),
    "signed-timestamp": Text(
        "does not apply in a dialect that does not sign the timestamp",
        "不簽時間戳的方言不適用",
    ),
    "separator": Text(
        "does not apply in a dialect without a separator between timestamp and body",
        "時間戳與請求體之間沒有分隔符的方言不適用",
    ),
}
"""What a scenario needs → the message when it is missing."""
