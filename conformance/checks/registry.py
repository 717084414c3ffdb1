"""All checks that scenarios can name, by side. A new check is one function and one record in its module."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.checks.check import Check, Scope, by_name
from conformance.checks.receiver import load, whole_run
from conformance.checks.sender import configuration_checks, step_checks, wire

CHECKS: Mapping[str, Mapping[str, Check]] = {
    "receiver": by_name([*whole_run.CHECKS, *load.CHECKS]),
    "sender": by_name([*wire.CHECKS, *configuration_checks.CHECKS, *step_checks.CHECKS]),
}
"""side → name → check."""


def names(side: str, *scopes: Scope) -> list[str]:
    """The names of one side's checks with one of these scopes."""
    return [check.name for check in CHECKS[side].values() if check.scope in scopes]
