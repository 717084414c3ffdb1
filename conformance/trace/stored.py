"""A trace in its tables: opened in a moment, read lazily, asked by filters.

Whatever is wrong with the file comes out as one InputError, however late it is met.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.extras import extra
from conformance.model.result import Result
from conformance.model.rules import Level, Outcome, Rule
from conformance.model.text import Text
from conformance.trace.capture import is_capture, read
from conformance.trace.filter import TraceFilter
from conformance.trace.redact import redacted, redacted_result, redacted_run, signed_by
from conformance.trace.store import check_file, fill
from conformance.trace.summary import Summary, summed_up
from conformance.trace.tables import NARROW, WIDE, Row, exchange

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ALL = TraceFilter()
BATCH = 2000
"""Rows that are fetched at once: few enough to stay in a processor's cache."""
FRAMES = "conformance.trace.frames", "notebook"
"""A module that needs more than the rest, and the extra that installs it."""
_NAMES = {"case": '"case"'}  # a word of SQL
_TABLES = {"meta", "rules", "results", "evidence", "exchanges", "contents"}


class Stored:
    """A trace file, or a copy that nobody else sees. It is a context manager; `close` lets go of the file."""

    def __init__(self, store: sqlite3.Connection, path: Path | None = None) -> None:
        self._store = store
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Self:
        """The trace in `path`, which is only read. Raises InputError for one that is none."""
        check_file(path)
        store = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        opened = cls(store, path)
        with opened._reading():
            # A file of somebody else's may define anything: nothing of it is carried out.
            store.execute("PRAGMA trusted_schema = OFF")
            tables = {name for (name,) in store.execute(_TABLES_THERE)}
        if not tables >= _TABLES:
            raise InputError(f"{path} is damaged: it has no {', '.join(sorted(_TABLES - tables))}")
        return opened

    @classmethod
    def open_any(cls, path: Path) -> Self:
        """The trace in `path`, or the capture of deliveries. Raises InputError for what is neither."""
        if not is_capture(path):
            return cls.open(path)
        made = cls.of(read(path), None, {}, ())
        made.path = path
        return made

    @classmethod
    def of(
        cls,
        exchanges: Iterable[Exchange],
        run: Mapping[str, Any] | None,
        rules: Mapping[str, Mapping[str, Any]],
        results: Sequence[Result],
    ) -> Self:
        """The same tables in a place of their own, which is gone when it is closed."""
        # SQLite keeps a database without a name in memory, and moves it to the disk when it grows.
        store = sqlite3.connect("", isolation_level=None)
        fill(store, exchanges, run, rules, results)
        return cls(store)

    def close(self) -> None:
        """Let go of the file; nothing can be read any more."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Trace of {len(self):,} exchanges in {self.path or 'memory'}>"

    def __len__(self) -> int:
        with self._reading():
            return int(self._store.execute("SELECT count(*) FROM exchanges").fetchone()[0])

    def __iter__(self) -> Iterator[Exchange]:
        return self.find()

    def __getitem__(self, number: int) -> Exchange:
        """The exchange with this id. Raises KeyError when there is none."""
        with self._reading():
            columns = _columns((*NARROW, *WIDE))
            row = self._store.execute(f"SELECT {columns} FROM whole WHERE id = ?", [number])
            found = row.fetchone()
        if found is None:
            raise KeyError(number)
        with self._reading():
            return exchange(found)

    def find(self, trace_filter: TraceFilter = ALL, limit: int = -1) -> Iterator[Exchange]:
        """The wanted exchanges with all that they hold, by id; at most `limit`."""
        columns = (*NARROW, *WIDE)
        for row in self.rows(trace_filter, columns, limit):
            with self._reading():
                found = exchange(row)
            yield found

    def attempted(
        self, trace_filter: TraceFilter, limit: int = -1
    ) -> Iterator[tuple[Exchange, int | None]]:
        """The wanted exchanges, and the how-manieth attempt for its message each one was: by id, or
        where slow ones are wanted, the slowest first."""
        place = NARROW.index("attempt")
        order = "ended - sent DESC" if trace_filter.slow is not None else "id"
        for row in self.rows(trace_filter, (*NARROW, *WIDE), limit, order):
            with self._reading():
                found = exchange(row)
            yield found, row[place]

    def rows(
        self,
        trace_filter: TraceFilter = ALL,
        columns: Sequence[str] = NARROW,
        limit: int = -1,
        order: str = "id",
    ) -> Iterator[Row]:
        """Some `columns` of the wanted exchanges, in an `order` of SQL; at most `limit`."""
        for batch in self._fetched(trace_filter, columns, limit, order):
            yield from batch

    def _fetched(
        self, trace_filter: TraceFilter, columns: Sequence[str], limit: int, order: str
    ) -> Iterator[list[Row]]:
        where, values = trace_filter.where()
        table = "exchanges" if set(columns) <= set(NARROW) else "whole"
        asked = f"SELECT {_columns(columns)} FROM {table} WHERE {where} ORDER BY {order} LIMIT ?"
        with self._reading():
            cursor = self._store.execute(asked, [*values, limit])
        while True:
            with self._reading():
                batch = cursor.fetchmany(BATCH)
            if not batch:
                return
            yield batch

    def count(self, trace_filter: TraceFilter) -> int:
        """How many exchanges are wanted."""
        where, values = trace_filter.where()
        with self._reading():
            asked = self._store.execute(f"SELECT count(*) FROM exchanges WHERE {where}", values)
            return int(asked.fetchone()[0])

    @cached_property
    def run(self) -> dict[str, Any] | None:
        """What is known of the run (see `schemas/run.schema.json`); None for a bare trace."""
        with self._reading():
            meta = {k: json.loads(v) for k, v in self._store.execute("SELECT * FROM meta")}
        return meta or None

    @property
    def accepted(self) -> list[int]:
        """The statuses that count as success."""
        profile = (self.run or {}).get("facts", {})
        return list(profile.get("accepted", [200]))

    @cached_property
    def rules(self) -> dict[str, dict[str, Any]]:
        """The rules that the run judged, as their scenarios stood in YAML."""
        with self._reading():
            rows = self._store.execute("SELECT rule, record FROM rules")
            return {rule: json.loads(record) for rule, record in rows}

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """What the run found, in the order of its report."""
        with self._reading():
            rows = self._store.execute("SELECT * FROM results ORDER BY id").fetchall()
            told: dict[int, list[int]] = {}
            for result, at in self._store.execute(
                "SELECT result, exchange FROM evidence ORDER BY result, place"
            ):
                told.setdefault(result, []).append(at)
            return tuple(self._result(row, tuple(told.get(row[0], ()))) for row in rows)

    def _result(self, row: Row, exchanges: tuple[int, ...]) -> Result:
        _, rule, case, level, outcome, message, message_zh, seconds, reproduce, judged = row
        record = self.rules.get(rule, {})
        return Result(
            rule=Rule(
                id=rule,
                level=Level(record["level"] if record else level),
                source=record.get("source"),
                title=_text(record.get("title", "")),
                why=_text(record.get("why", "")),
                fix=_text(record.get("fix", "")),
            ),
            case=case,
            level=Level(level),
            outcome=Outcome(outcome),
            message=Text(message, message_zh),
            seconds=seconds,
            exchanges=exchanges,
            reproduce=reproduce,
            judged=bool(judged),
        )

    def redacted(self) -> Self:
        """The same without contents and names; sizes stay."""
        headers = signed_by(self.run)
        exchanges = (redacted(each, headers) for each in self)
        results = list(map(redacted_result, self.results))
        return self.of(exchanges, redacted_run(self.run), self.rules, results)

    def summary(self) -> Summary:
        """What is in the trace, in numbers."""
        with self._reading():
            return summed_up(self._store, self.run, self.results)

    def batches(
        self, trace_filter: TraceFilter = ALL, columns: Sequence[str] = NARROW
    ) -> Iterator[pa.RecordBatch]:
        """The wanted exchanges as Arrow batches; see `frames.batches`."""
        frames = extra(*FRAMES)
        made: Iterator[pa.RecordBatch] = frames.batches(
            self._fetched(trace_filter, columns, -1, "id"), columns, self.run, self.results
        )
        return made

    def frame(self, *, bodies: bool = False) -> pd.DataFrame:
        """A row for each HTTP exchange, its columns those of the tables and `frames.DERIVED`. What
        is wide (headers, bodies, what was signed) is there with `bodies`.

        Raises InputError where pandas or pyarrow are missing.
        """
        columns = (*NARROW, *WIDE) if bodies else NARROW
        return self._frame(columns)

    def attempts(self) -> pd.DataFrame:
        """A row for each delivery; see `attempts.deliveries`."""
        attempts = extra("conformance.trace.attempts", FRAMES[1])
        made: pd.DataFrame = attempts.deliveries(self._frame(attempts.COLUMNS), self.accepted)
        return made

    def _frame(self, columns: Sequence[str]) -> pd.DataFrame:
        frames = extra(*FRAMES)
        with self._reading():
            made: pd.DataFrame = frames.frame(self.batches(ALL, columns), columns)
        return made

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What is wrong with the file, told in one line."""
        try:
            yield
        except sqlite3.ProgrammingError:  # it was closed: no fault of the file
            raise
        except (
            sqlite3.DatabaseError, ValueError, TypeError, LookupError, RecursionError
        ) as fault:  # fmt: skip
            raise InputError(
                f"{self.path or 'the trace'} is damaged: {fault}. What is left of it can be had with "
                f"`sqlite3 {self.path} .recover`"
            ) from fault


def _columns(names: Sequence[str]) -> str:
    return ", ".join(_NAMES.get(name, name) for name in names)


def _text(words: str | dict[str, str]) -> Text:
    if isinstance(words, str):
        return Text(words, words)
    return Text(words["en"], words.get("zh-Hant", words["en"]))


_TABLES_THERE = "SELECT name FROM sqlite_master WHERE type = 'table'"
