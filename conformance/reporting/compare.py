"""Two runs of one side compared: which cases were fixed, which broke, which still fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from conformance.model.result import Result
from conformance.model.rules import Outcome

_GRAVITY = {Outcome.PASS: 0, Outcome.NOTE: 1, Outcome.WARN: 2, Outcome.FAIL: 3}
"""The outcomes of cases that were judged; the others mean that a case was not judged."""


@dataclass(frozen=True, slots=True)
class Change:
    """One case before and after; None if a run did not have it."""

    before: Result | None
    after: Result | None

    @property
    def name(self) -> str:
        """The rule, and the case in brackets."""
        result = self.after or self.before
        assert result is not None  # noqa: S101 - one of them is not None
        return result.name


@dataclass(frozen=True, slots=True)
class Comparison:
    """The cases that are broken in either run. `fixed`: they pass now. `regressed`: they passed, or were
    less grave. `still`: broken in both. `appeared`: not judged before. `unjudged`: not judged now."""

    fixed: list[Change] = field(default_factory=list)
    regressed: list[Change] = field(default_factory=list)
    still: list[Change] = field(default_factory=list)
    appeared: list[Change] = field(default_factory=list)
    unjudged: list[Change] = field(default_factory=list)

    @property
    def worse(self) -> bool:
        """Whether a case is broken that was not known to be broken before."""
        return bool(self.regressed or self.appeared)


def compare(before: Iterable[Result], after: Sequence[Result]) -> Comparison:
    """The changes from the results `before` to those `after`, in the order of `after`."""
    earlier = {(result.rule.id, result.case): result for result in before}
    comparison = Comparison()
    for result in after:
        _sort(Change(earlier.pop((result.rule.id, result.case), None), result), comparison)
    for result in earlier.values():
        _sort(Change(result, None), comparison)
    return comparison


def _sort(change: Change, comparison: Comparison) -> None:
    before, after = _gravity(change.before), _gravity(change.after)
    if not before and not after:
        return
    if before is None:
        comparison.appeared.append(change)
    elif after is None:
        comparison.unjudged.append(change)
    elif after == 0:
        comparison.fixed.append(change)
    elif after > before:
        comparison.regressed.append(change)
    else:
        comparison.still.append(change)


def _gravity(result: Result | None) -> int | None:
    return _GRAVITY.get(result.outcome) if result is not None else None
