"""Judges what Test reports about an endpoint that did not accept its message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from conformance.checks.check import Check, Need, Scope
from conformance.checks.sender.api import message, succeeded
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.step import StepExchanges, is_call
from conformance.model.exchange import Exchange, Role
from conformance.model.rules import Finding, Judgement, Level, Unjudged, held
from conformance.model.sentence import Sentence

APART = ("unreachable", "timed-out", "refused")
"""The cases whose reports must differ."""

_VOLATILE = re.compile(r"https?:[^\s\"]+|[0-9a-f]{8,}|\d+")


def test_failed(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """Test does not report success for an endpoint that did not accept its message."""
    call = step.call
    if call is None or call.status is None:
        return [Unjudged("no-answer", _NO_ANSWER)]
    if not succeeded(call):
        # One that never reports success reports nothing of the endpoint either.
        return [
            held(level, [call])
            if profile.reports_tests
            else Unjudged("test-never-succeeds", _NEVER_REPORTS)
        ]
    text = Sentence(
        "Test reports success ({message}), though the endpoint did not answer 200",
        message=message(call),
    )
    return [Finding(level, "test-reports-success", text, (call.id,))]


def distinguishes_failures(
    over: Sequence[Exchange], profile: SenderProfile, level: Level
) -> list[Judgement]:
    """What Test reports differs between an endpoint that is unreachable, one that times out and one that
    refuses."""
    tests = {
        str(exchange.case): exchange
        for exchange in over
        if exchange.role is Role.API and is_call(exchange, "Test") and exchange.case in APART
    }
    silent = [name for name in APART if name not in tests or tests[name].status is None]
    if silent:
        return [
            Unjudged(
                "no-answer",
                Sentence("no answer of Test ({silent})", silent=silent[0]),
            )
        ]
    for one, other in combinations(APART, 2):
        if _report(tests[one]) == _report(tests[other]):
            text = Sentence(
                "Test says the same of {one} and {other}: {message!r}",
                one=one,
                other=other,
                message=message(tests[one]),
            )
            return [Finding(level, "reports-alike", text, (tests[one].id, tests[other].id))]
    return [held(level, tests.values())]


def _report(test: Exchange) -> tuple[int | None, str]:
    """An answer of Test without what varies from call to call."""
    body = test.answer.body if test.answer is not None else b""
    return test.status, _VOLATILE.sub("", body.decode("utf-8", "replace").lower())


_NO_ANSWER = Sentence("not judged: Test did not answer")
_NEVER_REPORTS = Sentence(
    "not judged: Test reported no success for an endpoint that answered 200 either (see "
    "sender.config.test)"
)

CHECKS = (
    Check("distinguishes-failures", Scope.RUN, distinguishes_failures, frozenset({Need.BODIES})),
    Check("test-failed", Scope.STEP, test_failed, frozenset({Need.BODIES})),
)
