"""A trace in numbers: what was sent and why, the replies, their times, and the outcomes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.model.result import Result
from conformance.model.rules import Outcome
from conformance.trace.tables import DELIVERY_ROLES

SHARES = (0.5, 0.95, 0.99, 1.0)
"""The quantiles of answer times that a summary shows; the last one is the slowest."""


@dataclass(frozen=True, slots=True)
class Summary:
    """`replies` counts the replies by role: each is a status, or the fault in its place. `times` are
    the quantiles SHARES of the seconds from the last byte of a delivery to that of its whole answer,
    and `slowest` is the exchange of the last; both are empty when nothing was answered. `seconds` is
    the time from the first request to the last answer."""

    exchanges: int
    messages: int
    seconds: float
    replies: Mapping[str, Mapping[str, int]]
    times: tuple[float, ...]
    slowest: int | None
    outcomes: Mapping[Outcome, int]
    run: Mapping[str, Any] | None

    @property
    def size(self) -> str:
        """The number of exchanges and messages, as text."""
        numbers = ((self.exchanges, "exchange"), (self.messages, "message"))
        return ", ".join(f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in numbers)


def format_quantiles(times: Sequence[float]) -> str:
    """Quantiles of answer times, as text."""
    if not times:
        return ""
    median, *most, slowest = [f"{seconds * 1000:,.1f} ms" for seconds in times]
    shares = [f"{share:.0%} within {time}" for share, time in zip(SHARES[1:], most, strict=False)]
    return f"{median} (median), {', '.join(shares)}, {slowest} at most"


def summarise(
    store: sqlite3.Connection, run: Mapping[str, Any] | None, results: Sequence[Result]
) -> Summary:
    """The summary of the tables in `store`."""
    replies: dict[str, dict[str, int]] = {}
    for role, status, fault, number in store.execute(
        "SELECT role, status, fault, count(*) FROM exchanges GROUP BY 1, 2, 3 ORDER BY 1, 3, 2"
    ):
        replies.setdefault(role, {})[str(fault or status or "none")] = number
    answered = store.execute(f"SELECT count(*) FROM exchanges WHERE {_ANSWERED}").fetchone()[0]
    first, last = store.execute("SELECT min(started), max(ended) FROM exchanges").fetchone()
    times, slowest = _times(store, answered)
    return Summary(
        exchanges=store.execute("SELECT count(*) FROM exchanges").fetchone()[0],
        messages=store.execute("SELECT count(DISTINCT msg_id) FROM exchanges").fetchone()[0],
        seconds=(last or 0.0) - (first or 0.0),
        replies=replies,
        times=times,
        slowest=slowest,
        outcomes=Counter(each.outcome for each in results),
        run=run,
    )


def _times(store: sqlite3.Connection, answered: int) -> tuple[tuple[float, ...], int | None]:
    """The quantiles over the `answered` deliveries, read from the index of times."""
    if answered == 0:
        return (), None
    query = (
        # Without the hint the planner sorts.
        f"SELECT ended - sent, id FROM exchanges INDEXED BY exchanges_by_seconds WHERE {_ANSWERED} "
        "ORDER BY ended - sent LIMIT 1 OFFSET ?"
    )
    ranks = [min(answered - 1, int(share * answered)) for share in SHARES]
    rows = [store.execute(query, [rank]).fetchone() for rank in ranks]
    return tuple(seconds for seconds, _ in rows), rows[-1][1]


_ROLES = ", ".join(f"'{role}'" for role in sorted(DELIVERY_ROLES))
_ANSWERED = f"role IN ({_ROLES}) AND fault IS NULL AND status IS NOT NULL"
