"""Selects exchanges of a trace: the filters of `hookproof trace`, as SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.model.errors import InputError

_CASE = re.compile(r"(?P<rule>[^\[\]]+)\[(?P<case>.+)\]")
_STATUS = re.compile(r"[1-9]\d\d|[1-9]xx|none")


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """A filter. A field that is left out matches everything.

    `rule` is a glob, or one case as a report names it (`receiver.body.empty[whole]`). `statuses` are
    alternatives such as 404, 5xx, or `none` (no whole answer). `slow` is the least number of seconds
    from the last byte of the request to that of the answer. Raises InputError for a word that is not
    a status.
    """

    rule: str | None = None
    msg_id: str | None = None
    statuses: Sequence[str] = ()
    slow: float | None = None

    def __post_init__(self) -> None:
        for word in self.statuses:
            if not _STATUS.fullmatch(word):
                raise InputError(
                    "--status: {word!r} is not a status: give one like 404, 5xx or `none`",
                    word=word,
                )

    def __bool__(self) -> bool:
        return bool(self.rule or self.msg_id or self.statuses or self.slow is not None)

    def where(self) -> tuple[str, list[object]]:
        """The SQL condition and its values; `1` when everything matches."""
        parts, values = ["1"], list[object]()
        if self.rule is not None:
            match = _CASE.fullmatch(self.rule)
            parts.append('rule = ? AND "case" = ?' if match else "rule GLOB ?")
            values += [match["rule"], match["case"]] if match else [_glob(self.rule)]
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
    """A shell pattern in SQLite's syntax, which writes `[!a]` as `[^a]`."""
    return pattern.replace("[!", "[^")


def _status(word: str) -> str:
    """The condition for a valid status word."""
    if word == "none":
        return "(fault IS NOT NULL OR status IS NULL)"
    if word.endswith("xx"):
        return f"(status BETWEEN {word[0]}00 AND {word[0]}99 AND fault IS NULL)"
    return f"(status = {word} AND fault IS NULL)"
