"""A trace in its tables: quick to open, read lazily, queried through filters.

Any fault of the file becomes an InputError, however late it is discovered.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from conformance.model.errors import InputError
from conformance.model.exchange import Exchange, Role
from conformance.model.extras import extra
from conformance.model.result import Result
from conformance.model.rules import Level, Outcome, Rule
from conformance.model.sentence import Sentence
from conformance.model.text import Text
from conformance.trace.capture import is_capture, read
from conformance.trace.filter import TraceFilter
from conformance.trace.redact import redact_exchange, redact_result, redact_run, signature_headers
from conformance.trace.store import check_file, fill, write
from conformance.trace.summary import Summary, summarise
from conformance.trace.tables import NARROW, WIDE, Row, exchange_from

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ALL = TraceFilter()
BATCH = 2000
"""Rows fetched at once: few enough to stay in the processor's cache."""
FRAMES = "conformance.trace.frames", "notebook"
"""A module that needs more than the rest, and the extra that installs it."""
_NAMES = {"case": '"case"'}  # an SQL keyword
_TABLES = {"meta", "rules", "results", "evidence", "exchanges", "contents"}


class StoredTrace:  # noqa: PLR0904 - waits until it and `Trace` become one reader
    """A trace file, or a private copy of a trace. It is a context manager; `close` releases the file."""

    def __init__(self, store: sqlite3.Connection, path: Path | None = None) -> None:
        self._store = store
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Self:
        """The trace in `path`, opened read-only. Raises InputError for a file that is not a trace."""
        check_file(path)
        store = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        opened = cls(store, path)
        with opened._reading():
            # A foreign file may define views and triggers: none of their functions may run.
            store.execute("PRAGMA trusted_schema = OFF")
            tables = {name for (name,) in store.execute(_TABLES_THERE)}
        if not tables >= _TABLES:
            raise InputError(
                "{path} is damaged: it has no {tables}",
                path=str(path),
                tables=", ".join(sorted(_TABLES - tables)),
            )
        return opened

    @classmethod
    def open_any(cls, path: Path) -> Self:
        """The trace or the capture in `path`. Raises InputError for a file that is neither."""
        if not is_capture(path):
            return cls.open(path)
        capture = cls.of(read(path), None, {}, ())
        capture.path = path
        return capture

    @classmethod
    def of(
        cls,
        exchanges: Iterable[Exchange],
        run: Mapping[str, Any] | None,
        rules: Mapping[str, Mapping[str, Any]],
        results: Sequence[Result],
    ) -> Self:
        """A temporary trace, which is gone when it is closed."""
        # SQLite keeps a nameless database in memory, and spills it to disk when it grows.
        store = sqlite3.connect("", isolation_level=None)
        fill(store, exchanges, run, rules, results)
        return cls(store)

    def close(self) -> None:
        """Release the file; nothing can be read afterwards."""
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
            cursor = self._store.execute(f"SELECT {columns} FROM whole WHERE id = ?", [number])
            values = cursor.fetchone()
        if values is None:
            raise KeyError(number)
        with self._reading():
            return exchange_from(values)

    def find(self, trace_filter: TraceFilter = ALL) -> Iterator[Exchange]:
        """The matching exchanges in full, by id."""
        return self._exchanges(*trace_filter.where())

    def _exchanges(
        self, where: str, values: Sequence[object], order: str = "id"
    ) -> Iterator[Exchange]:
        for batch in self._fetched(where, values, (*NARROW, *WIDE), order):
            for row in batch:
                with self._reading():
                    exchange = exchange_from(row)
                yield exchange

    def find_with_attempts(
        self, trace_filter: TraceFilter, limit: int = -1
    ) -> Iterator[tuple[Exchange, int | None]]:
        """The matching exchanges, each with the number of its attempt (from 1): by id, or with a
        `slow` filter the slowest first."""
        column = NARROW.index("attempt")
        order = "ended - sent DESC" if trace_filter.slow is not None else "id"
        for row in self.rows(trace_filter, (*NARROW, *WIDE), limit, order):
            with self._reading():
                exchange = exchange_from(row)
            yield exchange, row[column]

    def of_case(self, rule: str | None, case: str | None) -> list[Exchange]:
        """The exchanges of one case."""
        return list(self._exchanges('rule IS ? AND "case" IS ?', [rule, case]))

    def messages(self) -> Iterator[list[Exchange]]:
        """The exchanges of one message at a time, as `checks.messages.by_message` gives them: after the
        calls that configured the sender."""
        calls = list(self._exchanges("role = ?", [Role.API.value]))
        exchanges = self._exchanges("role <> ?", [Role.API.value], "msg_id, id")
        for _, of_message in groupby(exchanges, lambda exchange: exchange.msg_id):
            yield [*calls, *of_message]

    def rows(
        self,
        trace_filter: TraceFilter = ALL,
        columns: Sequence[str] = NARROW,
        limit: int = -1,
        order: str = "id",
    ) -> Iterator[Row]:
        """Some `columns` of the matching exchanges, in an SQL `order`; at most `limit`."""
        for batch in self._fetched(*trace_filter.where(), columns, order, limit):
            yield from batch

    def _fetched(
        self,
        where: str,
        values: Sequence[object],
        columns: Sequence[str],
        order: str = "id",
        limit: int = -1,
    ) -> Iterator[list[Row]]:
        table = "exchanges" if set(columns) <= set(NARROW) else "whole"
        query = f"SELECT {_columns(columns)} FROM {table} WHERE {where} ORDER BY {order} LIMIT ?"
        with self._reading():
            cursor = self._store.execute(query, [*values, limit])
        while True:
            with self._reading():
                batch = cursor.fetchmany(BATCH)
            if not batch:
                return
            yield batch

    def count(self, trace_filter: TraceFilter) -> int:
        """How many exchanges match."""
        where, values = trace_filter.where()
        with self._reading():
            cursor = self._store.execute(f"SELECT count(*) FROM exchanges WHERE {where}", values)
            return int(cursor.fetchone()[0])

    @cached_property
    def run(self) -> dict[str, Any] | None:
        """The metadata of the run (see `schemas/run.schema.json`); None for a bare trace."""
        with self._reading():
            meta = {k: json.loads(v) for k, v in self._store.execute("SELECT * FROM meta")}
        return meta or None

    @property
    def accepted(self) -> list[int]:
        """The statuses that count as success."""
        profile = (self.run or {}).get("profile", {})
        return list(profile.get("accepted", [200]))

    @cached_property
    def rules(self) -> dict[str, dict[str, Any]]:
        """The rules that the run judged, as the records of their YAML at the time."""
        with self._reading():
            rows = self._store.execute("SELECT rule, record FROM rules")
            return {rule: json.loads(record) for rule, record in rows}

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """The results of the run, in the order of its report."""
        with self._reading():
            rows = self._store.execute("SELECT * FROM results ORDER BY id").fetchall()
            evidence: dict[int, list[int]] = {}
            for result, exchange in self._store.execute(
                "SELECT result, exchange FROM evidence ORDER BY result, place"
            ):
                evidence.setdefault(result, []).append(exchange)
            return tuple(self._result(row, tuple(evidence.get(row[0], ()))) for row in rows)

    def _result(self, row: Row, exchanges: tuple[int, ...]) -> Result:
        _, rule, case, level, outcome, code, _, sentence, seconds, reproduce, judged = row
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
            code=code,
            message=Sentence.from_data(json.loads(sentence)),
            seconds=seconds,
            exchanges=exchanges,
            reproduce=reproduce,
            judged=bool(judged),
        )

    def redacted(self) -> Self:
        """A copy without contents and names; sizes stay."""
        headers = signature_headers(self.run)
        exchanges = (redact_exchange(each, headers) for each in self)
        results = list(map(redact_result, self.results))
        return self.of(exchanges, redact_run(self.run), self.rules, results)

    def judged(
        self,
        run: dict[str, Any],
        rules: dict[str, dict[str, Any]],
        results: tuple[Result, ...],
    ) -> Self:
        """The same exchanges with other results; to be read as long as this trace is open."""
        view = type(self)(self._store, self.path)
        view.run, view.rules, view.results = run, rules, results
        return view

    def save(self, path: Path) -> None:
        """Write a trace file; see `Trace.save`."""
        write(path, self, self.run, self.rules, self.results)

    def summary(self) -> Summary:
        """The trace in numbers."""
        with self._reading():
            return summarise(self._store, self.run, self.results)

    def batches(
        self, trace_filter: TraceFilter = ALL, columns: Sequence[str] = NARROW
    ) -> Iterator[pa.RecordBatch]:
        """The matching exchanges as Arrow batches; see `frames.batches`."""
        frames = extra(*FRAMES)
        batches: Iterator[pa.RecordBatch] = frames.batches(
            self._fetched(*trace_filter.where(), columns), columns, self.run, self.results
        )
        return batches

    def frame(self, *, bodies: bool = False) -> pd.DataFrame:
        """A row for each HTTP exchange, with the columns of the tables and `frames.DERIVED`. With
        `bodies` it includes the wide ones: headers, bodies, and the inputs of signatures.

        Raises InputError when pandas or pyarrow is missing.
        """
        columns = (*NARROW, *WIDE) if bodies else NARROW
        return self._frame(columns)

    def attempts(self) -> pd.DataFrame:
        """A row for each delivery; see `attempts.deliveries`."""
        attempts = extra("conformance.trace.attempts", FRAMES[1])
        table: pd.DataFrame = attempts.deliveries(self._frame(attempts.COLUMNS), self.accepted)
        return table

    def _frame(self, columns: Sequence[str]) -> pd.DataFrame:
        frames = extra(*FRAMES)
        with self._reading():
            table: pd.DataFrame = frames.frame(self.batches(ALL, columns), columns)
        return table

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Report a fault of the file in one line."""
        try:
            yield
        except sqlite3.ProgrammingError:  # the trace was closed: not a fault of the file
            raise
        except (
            sqlite3.DatabaseError, ValueError, TypeError, LookupError, RecursionError
        ) as fault:  # fmt: skip
            raise InputError(
                "{trace} is damaged: {reason}. Recover what is left of it with `sqlite3 {path} "
                ".recover`",
                trace=str(self.path or "the trace"),
                reason=str(fault),
                path=str(self.path),
            ) from fault


def _columns(names: Sequence[str]) -> str:
    return ", ".join(_NAMES.get(name, name) for name in names)


def _text(words: str | dict[str, str]) -> Text:
    if isinstance(words, str):
        return Text(words)
    return Text(words["en"], words.get("zh-Hant", ""))


_TABLES_THERE = "SELECT name FROM sqlite_master WHERE type = 'table'"
