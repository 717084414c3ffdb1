"""Which exchanges of a trace are meant: the filters of `hookproof trace`, as SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.model.errors import InputError

_CASE = re.compile(r"(?P<rule>[^\[\]]+)\[(?P<case>.+)\]")
_STATUS = re.compile(r"[1-9]\d\d|[1-9]xx|none")


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """A filter; what is left out lets everything pass.

    `rule` is a glob, or one case as a report names it (`receiver.body.empty[whole]`); `statuses`
    are like 404, 5xx, or none (no whole answer), any of them; `slow` is seconds at least, from the
    last byte of the request to that of the answer. Raises InputError for a status that is none.
    """

    rule: str | None = None
    msg_id: str | None = None
    statuses: Sequence[str] = ()
    slow: float | None = None

    def __post_init__(self) -> None:
        for each in self.statuses:
            if not _STATUS.fullmatch(each):
                raise InputError(f"--status: {each!r} is none: give one like 404, 5xx or `none`")

    def __bool__(self) -> bool:
        return bool(self.rule or self.msg_id or self.statuses or self.slow is not None)

    def where(self) -> tuple[str, list[object]]:
        """The condition, and its values; `1` when everything is wanted."""
        parts, values = ["1"], list[object]()
        if self.rule is not None:
            named = _CASE.fullmatch(self.rule)
            parts.append('rule = ? AND "case" = ?' if named else "rule GLOB ?")
            values += [named["rule"], named["case"]] if named else [_glob(self.rule)]
        if self.msg_id is not None:
            parts.append("msg_id = ?")
            values.append(self.msg_id)
        if self.statuses:
            parts.append(f"({' OR '.join(map(_status, self.statuses))})")
        if self.slow is not None:
            parts.append("ended - sent >= ?")
            values.append(self.slow)
        return " AND ".join(parts), values


def _glob(pattern: str) -> str:
    """A shell's pattern as SQLite has it: `[!a]` is written `[^a]` there."""
    return pattern.replace("[!", "[^")


def _status(word: str) -> str:
    """A word that has been looked at, as a condition."""
    if word == "none":
        return "(fault IS NOT NULL OR status IS NULL)"
    if word.endswith("xx"):
        return f"(status BETWEEN {word[0]}00 AND {word[0]}99 AND fault IS NULL)"
    return f"(status = {word} AND fault IS NULL)"
