"""Why a sender's case cannot be judged with the given options and what preflight learnt of the sender;
and about how long it takes. Pure.
"""

from __future__ import annotations

from typing import Any

from conformance.checks.sender.profile import UNDER_WAY, SenderProfile
from conformance.engine.metadata import NO_FUZZ
from conformance.engine.sender.registrations import SETTINGS
from conformance.model.rules import Unjudged
from conformance.model.sentence import Sentence, clauses
from conformance.options.sender import SenderOptions
from conformance.scenario.records import Case, Scenario
from conformance.serving import certificates


def skip_reason(
    scenario: Scenario, case: Case, options: SenderOptions, profile: SenderProfile, left: float
) -> Unjudged | None:
    """Why the case cannot be judged; None when it can. `left` is the run's remaining time in seconds."""
    available = {
        "emit": profile.emits,
        "several": profile.lists_several or profile.delivers_several,
        "restart": options.restart_command is not None,
        "tls": options.tls_cert is not None,
        "openssl": certificates.missing() is None,
        "local": options.public_url is None,
    }
    needs = list(scenario.needs)
    if case.sender_case.endpoint.kind in ("refusing", "untrusted"):
        needs.append("local")  # its port is not the one that a tunnel leads to
    missing = [need for need in needs if not available[need]]
    if missing:
        return Unjudged(f"needs-{missing[0]}", clauses([NEEDS[need] for need in missing]))
    if case.sender_case.drawn and not options.fuzz:
        return Unjudged("fuzz-off", NO_FUZZ)
    if case.sender_case.retried and not profile.retries and not _shows_no_retry(scenario, case):
        return Unjudged("no-retry", _NO_RETRY)
    if _over_too_soon(case, profile):
        return Unjudged("over-too-soon", _OVER_TOO_SOON)
    needed = duration(case, profile)
    if not case.acts or needed <= left:
        return None
    return Unjudged(
        "too-little-time",
        Sentence(
            "would take about {needed:.0f} s at the sender's pace, but only {left:.0f} s are "
            "left: give a longer --timeout",
            needed=needed,
            left=max(left, 0),
        ),
    )


def duration(case: Case, profile: SenderProfile) -> float:
    """About how many seconds a case takes."""
    expected = [
        expectation.attempts
        for action in case.sender_case.actions
        for expectation in action.expectations
        if expectation.attempts is not None
    ]
    total = 5.0 if case.sender_case.holds_up else 1.0
    for least, most in expected:
        total += sum(profile.wait(attempt) for attempt in range(1, least))
        total += profile.quiet_after(least) if most is not None else 0.0
    if case.sender_case.drawn == "answers":
        retry_count, timeout = (_settings(case)[n] for n in ("RetryCount", "Timeout"))
        total += sum(profile.wait(attempt) + timeout for attempt in range(1, retry_count + 1))
        total += profile.quiet_after(retry_count + 1)
    return total + sum(min(UNDER_WAY, each.delay) for each in case.sender_case.endpoint.answers)


def _settings(case: Case) -> dict[str, Any]:
    """The settings of a case's configuration."""
    return {**SETTINGS, **case.sender_case.endpoint.configure}


def _over_too_soon(case: Case, profile: SenderProfile) -> bool:
    """Whether the retries to an endpoint that refuses connections may end before it accepts them."""
    listener = case.sender_case.endpoint
    retry_count = _settings(case)["RetryCount"]
    refuses_messages = case.sender_case.emits and listener.kind == "refusing"
    return refuses_messages and profile.retries and not profile.outlasts_refusal(retry_count)


def _shows_no_retry(scenario: Scenario, case: Case) -> bool:
    """Whether the case can be judged although the sender never retries."""
    expected = [
        expectation.attempts
        for action in case.sender_case.actions
        for expectation in action.expectations
    ]
    once = not case.sender_case.drawn and all(
        attempts in (None, (1, None), (1, 1)) for attempts in expected
    )
    return once or "no-retry" in scenario.explains


NEEDS = {
    "emit": Sentence("needs --emit-url or --emit-command, to give the sender messages"),
    "several": Sentence("does not apply: the sender keeps one configuration"),
    "restart": Sentence("needs --restart-command"),
    "tls": Sentence("needs --tls-cert and --tls-key"),
    "openssl": Sentence("needs openssl, to make a certificate"),
    "local": Sentence("cannot be observed behind --public-url"),
}
"""What a case needs → the message when it is missing."""

_OVER_TOO_SOON = Sentence(
    "cannot be observed: the retries follow so quickly that they end before the endpoint listens"
)
_NO_RETRY = Sentence("not judged: the sender never retried")
