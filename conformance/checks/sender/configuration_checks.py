"""Checks of the configuration API: what List shows, and what Test reports of an endpoint that did not accept
its message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from conformance.checks.check import Check, Need, Scope
from conformance.checks.disclosure import TOO_SHORT, discloses, is_distinctive
from conformance.checks.sender.api import (
    configuration_of,
    configurations,
    data,
    message,
    succeeded,
)
from conformance.checks.sender.excerpt import short
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.step import Fields, StepExchanges, fields_of, is_call
from conformance.model.exchange import Exchange, Masked, Role
from conformance.model.rules import NO_EVIDENCE, Finding, Judgement, Level, Unjudged, held
from conformance.model.sentence import Sentence
from conformance.options.secrets import MASK

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
        return [Unjudged("no-answer", Sentence("no answer of Test ({silent})", silent=silent[0]))]
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


def listed(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """List shows the configuration as it was created."""
    return _judge_list(step, level, {})


def updated(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """List shows what Update changed, and no second configuration for its URL."""
    call, config_call = step.call, step.config_call
    if call is not None and config_call is not None:
        url = (fields_of(config_call) | _update(step)).get("URL")
        if sum(entry["url"] == url for entry in configurations(call)) > 1:
            return [Finding(level, "configuration-added", _ADDED, (call.id,))]
    return _judge_list(step, level, _update(step))


def rest_kept(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """List shows what Update changed, and everything else as it was."""
    return _judge_list(step, level, _update(step))


def _update(step: StepExchanges) -> Fields:
    """The fields that the calls before the step changed."""
    calls = [a.call for a in step.sender_case.actions[: step.index] if a.call is not None]
    changes: Fields = {}
    for call in calls:
        changes |= call.fields
    return changes


def _judge_list(step: StepExchanges, level: Level, changes: Fields) -> list[Judgement]:
    """Whether the step's List shows the case's configuration with `changes`."""
    call = step.call
    if call is None:
        return [NO_EVIDENCE]
    created = fields_of(step.config_call) if step.config_call is not None else {}
    expected = created | changes
    entry = configuration_of(call, expected.get("URL", ""))
    if entry is None:
        return [Finding(level, "not-listed", _NOT_LISTED, (call.id,))]
    for name in ("Timeout", "RetryCount", "Enabled", "MessageTypes", "IncludeSelfMessage"):
        if expected.get(name) is None:
            continue
        if name.lower() not in entry:
            text = Sentence("List does not show {name}", name=name)
            return [Finding(level, "setting-missing", text, (call.id,))]
        value = entry[name.lower()]
        if not _is_same_setting(value, expected[name]):
            text = Sentence(
                "List shows {name} {actual}, not {expected}",
                name=name,
                actual=short(value),
                expected=short(expected[name]),
            )
            return [Finding(level, "setting-differs", text, (call.id,))]
    return [held(level, [call])]


def unchanged(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """List does not contain a configuration that was refused."""
    call = step.call
    if call is None or not succeeded(call) or data(call) is None or not profile.lists:
        return [Unjudged("list-unread", _LIST_UNREAD)]
    url = fields_of(step.config_call).get("URL", "") if step.config_call is not None else ""
    if configuration_of(call, url) is None:
        return [held(level, [call])]
    text = Sentence("the invalid configuration is listed")
    return [Finding(level, "invalid-listed", text, (call.id,))]


def secret_hidden(step: StepExchanges, profile: SenderProfile, level: Level) -> list[Judgement]:
    """The answer of List does not contain the secret."""
    call, secret = step.call, bytes(profile.requested.secret)
    if call is None or call.answer is None:
        return [Unjudged("list-unread", _LIST_UNREAD)]
    masked = Masked.SECRET in call.masked
    # A short secret may be part of another word, but not the whole value of a Secret.
    whole = [secret.decode("utf-8", "replace"), *([MASK.decode()] if masked else [])]
    shown = any(entry.get("secret") in whole for entry in configurations(call))
    disclosed = discloses(call.answer.body, secret)
    if shown or disclosed or (masked and is_distinctive(secret)):
        text = Sentence("List shows the whole Secret")
        return [Finding(level, "secret-shown", text, (call.id,))]
    if masked or disclosed is None:
        return [replace(TOO_SHORT, exchanges=(call.id,))]
    url = fields_of(step.config_call).get("URL", "") if step.config_call is not None else ""
    own = [call] if configuration_of(call, url) is not None else []
    return [held(level, own, Unjudged("list-unread", _LIST_UNREAD))]


def _is_same_setting(value: object, expected: object) -> bool:
    """Whether a listed setting equals the expected one. Message types may be in any order, numbers or
    strings, or in one string with commas."""
    if not isinstance(expected, list):
        return value == expected
    if isinstance(value, str):
        value = value.split(",")
    return isinstance(value, list) and _sorted_texts(value) == _sorted_texts(expected)


def _sorted_texts(values: list[Any]) -> list[str]:
    return sorted(str(value).strip() for value in values)


_NO_ANSWER = Sentence("not judged: Test did not answer")
_NEVER_REPORTS = Sentence(
    "not judged: Test reported no success for an endpoint that answered 200 either"
)
_LIST_UNREAD = Sentence("not judged: List showed no configuration that the suite had created")
_ADDED = Sentence("List shows two configurations with the URL: Update has added one")
_NOT_LISTED = Sentence("List does not show the configuration")

_BODIES = frozenset({Need.BODIES})
CHECKS = (
    Check("distinguishes-failures", Scope.RUN, distinguishes_failures, _BODIES),
    Check("test-failed", Scope.STEP, test_failed, _BODIES),
    Check("listed", Scope.STEP, listed, _BODIES),
    Check("updated", Scope.STEP, updated, _BODIES),
    Check("kept", Scope.STEP, rest_kept, _BODIES),
    Check("unchanged", Scope.STEP, unchanged, _BODIES),
    Check("secret-hidden", Scope.STEP, secret_hidden, _BODIES | {Need.SECRET}),
)
