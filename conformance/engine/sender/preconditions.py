"""Why a sender's case cannot be judged with the given options and what preflight learnt of the sender;
and about how long it takes. Pure.
"""

from __future__ import annotations

from typing import Any

from conformance.checks.sender.profile import UNDER_WAY, SenderProfile
from conformance.engine.metadata import NO_FUZZ
from conformance.engine.results import join_texts
from conformance.engine.sender.session import SETTINGS
from conformance.model.rules import Unjudged
from conformance.model.text import Text
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
        return Unjudged(f"needs-{missing[0]}", join_texts([NEEDS[need] for need in missing]))
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
        Text(
            f"would take about {needed:.0f} s at the sender's pace, but only {max(left, 0):.0f} s are left: "
            "give a longer --timeout",
            f"依發送方的速度約需 {needed:.0f} 秒，只剩 {max(left, 0):.0f} 秒：請加長 --timeout",
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
    return once or scenario.rule.id == "sender.retry.on-non-200"


NEEDS = {
    "emit": Text(
        "needs --emit-url or --emit-command, to give the sender messages",
        "需要 --emit-url 或 --emit-command，以便把訊息交給發送方",
    ),
    "several": Text(
        "does not apply: the sender keeps one configuration", "不適用：發送方只保留一個配置"
    ),
    "restart": Text("needs --restart-command", "需要 --restart-command"),
    "tls": Text("needs --tls-cert and --tls-key", "需要 --tls-cert 與 --tls-key"),
    "openssl": Text("needs openssl, to make a certificate", "需要 openssl 以產生證書"),
    "local": Text("cannot be observed behind --public-url", "使用 --public-url 時無法觀察"),
}
"""What a case needs → the message when it is missing."""

_OVER_TOO_SOON = Text(
    "cannot be observed: the retries follow so quickly that they end before the endpoint listens",
    "無法觀察：重試過於密集，在端點開始監聽之前就已用盡",
)
_NO_RETRY = Text(
    "not judged: the sender never retried (see sender.retry.on-non-200)",
    "未判定：完全沒有重發（見 sender.retry.on-non-200）",
)
