"""An observer inferred from answers: how an answer to a first message differs from one to its repeat.

Pure. Values that vary by themselves (ids, times, counters) are recognized by comparing answers of the
same kind, and left out. A trait tells the two kinds apart when it is the same in all firsts, the same
in all repeats, and different between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.model.exchange import Answer

_VOLATILE = re.compile(r"[0-9a-fA-F-]{16,}|\d+")
_STATUS = "status"

Traits = dict[str, object]


@dataclass(frozen=True, slots=True)
class InferredObserver:
    """The traits that tell the answer to a first message from one to a repeat: (place, value in firsts,
    value in repeats)."""

    traits: tuple[tuple[str, object, object], ...]

    @property
    def by_status(self) -> bool:
        """Whether a repeat is answered by another status than a first message."""
        return any(where == _STATUS for where, _, _ in self.traits)

    def is_first(self, answer: Answer) -> bool | None:
        """True for an answer to a first message, False for one to a repeat, None for neither."""
        own = _traits(answer)
        kinds = {
            True if own.get(where) == first else False if own.get(where) == repeat else None
            for where, first, repeat in self.traits
        }
        return kinds.pop() if len(kinds) == 1 else None


def infer_observer(firsts: Sequence[Answer], repeats: Sequence[Answer]) -> InferredObserver | None:
    """An observer that tells `firsts` from `repeats`; None when no stable trait does."""
    of_firsts = [_traits(answer) for answer in firsts]
    of_repeats = [_traits(answer) for answer in repeats]
    differences = []
    for where in sorted({key for traits in (*of_firsts, *of_repeats) for key in traits}):
        first, repeat = _stable_value(of_firsts, where), _stable_value(of_repeats, where)
        if first != repeat and _UNSTABLE not in (first, repeat):
            differences.append((where, first, repeat))
    return InferredObserver(tuple(differences)) if differences else None


_UNSTABLE = object()


def _stable_value(answers: Sequence[Traits], where: str) -> object:
    """The value that all `answers` have at `where`, or _UNSTABLE."""
    values = [answer.get(where) for answer in answers]
    return values[0] if all(value == values[0] for value in values) else _UNSTABLE


def _traits(answer: Answer) -> Traits:
    traits: Traits = {_STATUS: answer.status}
    try:
        _flatten(json.loads(answer.body), "body", traits)
    except (ValueError, RecursionError):
        traits["body"] = _VOLATILE.sub("#", answer.body.decode("utf-8", "replace"))
    return traits


def _flatten(value: object, where: str, traits: Traits) -> None:
    match value:
        case dict():
            for key, inner in value.items():
                _flatten(inner, f"{where}.{key}", traits)
        case list():
            traits[f"{where}.length"] = len(value)
        case str():
            traits[where] = _VOLATILE.sub("#", value)
        case _:
            # With its type, so that true is not 1.
            traits[where] = (type(value).__name__, value)
