"""A trace as tables: Arrow batches, and pandas frames built from them."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from conformance.model.result import Result
from conformance.model.rules import Outcome
from conformance.trace.tables import WIDE, Row

DERIVED = ("seconds", "time", "outcome", "finding")

_KINDS = {
    "int64": ("id", "link"),
    "int32": ("step", "attempt", "request_size", "answer_size"),
    "int16": ("status",),
    "float64": ("started", "sent", "ended", "clock", "seconds"),
    "string": (
        "msg_id",
        *(name for name in WIDE if name.endswith("headers")),
        "signing",
        "finding",
    ),
    "binary": ("request_body", "answer_body", "raw"),
    "bool_": ("superseded", "answer_cut"),
}
_KIND = {name: kind for kind, names in _KINDS.items() for name in names}
_FINDING_OUTCOMES = (Outcome.FAIL, Outcome.WARN, Outcome.NOTE)


def schema(columns: Sequence[str]) -> pa.Schema:
    """The Arrow types of `columns` and the DERIVED ones; a word from a small set is a dictionary."""
    kinds = {name: getattr(pa, kind)() for name, kind in _KIND.items()}
    kinds["time"] = pa.timestamp("us", tz="UTC")
    word = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([(name, kinds.get(name, word)) for name in (*columns, *DERIVED)])


def batches(
    fetched: Iterable[Sequence[Row]],
    columns: Sequence[str],
    run: Mapping[str, Any] | None,
    results: Sequence[Result],
) -> Iterator[pa.RecordBatch]:
    """Rows of `columns` (which include `id`, `rule`, `case` and the times) as Arrow batches.

    The DERIVED columns are added: `seconds` from the last byte of the request to the last of the
    answer; `time`, the start, where the time of day is known; `outcome` of the exchange's case;
    `finding`, the report's results that point at the exchange.
    """
    kinds = schema(columns)
    outcomes = {(result.rule.id, result.case): result.outcome.value for result in results}
    findings = _findings(results)
    epoch = run["epoch"] if run is not None else None
    for batch in fetched:
        data = dict(zip(columns, zip(*batch, strict=True), strict=True))
        data["outcome"] = tuple(map(outcomes.get, zip(data["rule"], data["case"], strict=True)))
        data["finding"] = tuple(map(findings.get, data["id"]))
        arrays = {name: _array(column, kinds.field(name).type) for name, column in data.items()}
        arrays["seconds"] = pc.subtract(arrays["ended"], arrays["sent"])
        arrays["time"] = _times(arrays["clock"], arrays["started"], epoch)
        yield pa.RecordBatch.from_arrays([arrays[name] for name in kinds.names], schema=kinds)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Millions of rows are created and freed, none of them in a cycle: a collector that visits each
    takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _findings(results: Sequence[Result]) -> dict[int, str]:
    """The text of the report's findings, by exchange."""
    findings: dict[int, str] = {}
    for result in (result for result in results if result.outcome in _FINDING_OUTCOMES):
        text = f"{result.outcome} {result.name}: {result.message}"
        for ident in result.exchanges:
            findings[ident] = f"{findings[ident]}; {text}" if ident in findings else text
    return findings


def _array(column: Sequence[Any], kind: Any) -> Any:
    if kind == pa.bool_():  # SQLite has none
        return pa.array(column, pa.int8()).cast(kind)
    return pa.array(column, kind)


def _times(clock: Any, started: Any, epoch: float | None) -> Any:
    """When each exchange began: by its own wall clock, else by the run's clock and its `epoch`."""
    seconds = pc.coalesce(clock, pc.add(started, epoch)) if epoch is not None else clock
    microseconds = pc.round(pc.multiply(seconds, 1e6)).cast(pa.int64())
    return microseconds.cast(pa.timestamp("us", tz="UTC"))


def frame(batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> pd.DataFrame:
    """Batches as one frame. Words become categories; integer columns with gaps stay integers."""
    kinds = {
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    with _collector_paused():
        table = pa.Table.from_batches(list(batches), schema(columns)).unify_dictionaries()
    # Columns are freed as they are converted, so that a large trace is never in memory twice.
    converted: pd.DataFrame = table.to_pandas(types_mapper=kinds.get, self_destruct=True)
    return converted
