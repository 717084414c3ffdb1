"""Two runs of one side against each other: what was mended, what broke, what still fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from conformance.model.result import Result
from conformance.model.rules import Outcome

_GRAVITY = {Outcome.PASS: 0, Outcome.NOTE: 1, Outcome.WARN: 2, Outcome.FAIL: 3}
"""Outcomes of what was judged; the others say that it was not."""


@dataclass(frozen=True, slots=True)
class Change:
    """One case before and after; None where a run did not have it."""

    before: Result | None
    after: Result | None

    @property
    def name(self) -> str:
        """The rule, and the case in brackets."""
        result = self.after or self.before
        assert result is not None  # noqa: S101 - one of them is there
        return result.name


@dataclass(frozen=True, slots=True)
class Comparison:
    """The cases that are broken in either run. `fixed` held afterwards, `regressed` held before or
    weighed less, `still` is broken in both, `appeared` was not judged before, `unjudged` is not
    afterwards."""

    fixed: list[Change] = field(default_factory=list)
    regressed: list[Change] = field(default_factory=list)
    still: list[Change] = field(default_factory=list)
    appeared: list[Change] = field(default_factory=list)
    unjudged: list[Change] = field(default_factory=list)

    @property
    def worse(self) -> bool:
        """Whether something broke that was not seen broken before."""
        return bool(self.regressed or self.appeared)


def compare(before: Iterable[Result], after: Sequence[Result]) -> Comparison:
    """What changed from the results `before` to those `after`, in the order of the latter."""
    earlier = {(each.rule.id, each.case): each for each in before}
    found = Comparison()
    for result in after:
        _sort(Change(earlier.pop((result.rule.id, result.case), None), result), found)
    for left in earlier.values():
        _sort(Change(left, None), found)
    return found


def _sort(change: Change, found: Comparison) -> None:
    before, after = _gravity(change.before), _gravity(change.after)
    if not before and not after:
        return
    if before is None:
        found.appeared.append(change)
    elif after is None:
        found.unjudged.append(change)
    elif after == 0:
        found.fixed.append(change)
    elif after > before:
        found.regressed.append(change)
    else:
        found.still.append(change)


def _gravity(result: Result | None) -> int | None:
    return _GRAVITY.get(result.outcome) if result is not None else None
