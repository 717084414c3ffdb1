"""A trace as tables: Arrow batches, and pandas frames made of them."""

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
    "int64": ("id",),
    "int32": ("step", "attempt", "request_size", "answer_size"),
    "int16": ("status",),
    "float64": ("started", "sent", "ended", "clock", "seconds"),
    "string": (
        "msg_id",
        *(name for name in WIDE if name.endswith("headers")),
        "signing",
        "finding",
    ),
    "binary": ("request_body", "answer_body"),
    "bool_": ("superseded", "answer_cut"),
}
_KIND = {name: kind for kind, names in _KINDS.items() for name in names}
_BROKEN = (Outcome.FAIL, Outcome.WARN, Outcome.NOTE)


def schema(columns: Sequence[str]) -> pa.Schema:
    """The Arrow types of `columns` and the DERIVED ones; what is a word out of few is one."""
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
    """Rows of `columns` (with `id`, `rule`, `case` and the times) as Arrow batches.

    What follows from them is added: `seconds` from the last byte of the request to the last of the
    answer; `time` of the start, where the time of day is known; `outcome` of the case that it was
    made for; `finding`, what tells of it in the report.
    """
    kinds = schema(columns)
    outcomes = {(each.rule.id, each.case): each.outcome.value for each in results}
    findings = _findings(results)
    epoch = run["epoch"] if run is not None else None
    for batch in fetched:
        read = dict(zip(columns, zip(*batch, strict=True), strict=True))
        read["outcome"] = tuple(map(outcomes.get, zip(read["rule"], read["case"], strict=True)))
        read["finding"] = tuple(map(findings.get, read["id"]))
        arrays = {name: _array(column, kinds.field(name).type) for name, column in read.items()}
        arrays["seconds"] = pc.subtract(arrays["ended"], arrays["sent"])
        arrays["time"] = _times(arrays["clock"], arrays["started"], epoch)
        yield pa.RecordBatch.from_arrays([arrays[name] for name in kinds.names], schema=kinds)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Rows by the million come and go, none of them in a cycle: a collector that looks at each takes
    a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _findings(results: Sequence[Result]) -> dict[int, str]:
    """exchange → what the report says of it."""
    found: dict[int, str] = {}
    for each in (each for each in results if each.outcome in _BROKEN):
        said = f"{each.outcome} {each.name}: {each.message.en}"
        for told in each.exchanges:
            found[told] = f"{found[told]}; {said}" if told in found else said
    return found


def _array(column: Sequence[Any], kind: Any) -> Any:
    if kind == pa.bool_():  # SQLite has none
        return pa.array(column, pa.int8()).cast(kind)
    return pa.array(column, kind)


def _times(clock: Any, started: Any, epoch: float | None) -> Any:
    """When each exchange began: by the clock on the wall, else by the run's own and its `epoch`."""
    known = pc.coalesce(clock, pc.add(started, epoch)) if epoch is not None else clock
    whole = pc.round(pc.multiply(known, 1e6)).cast(pa.int64())
    return whole.cast(pa.timestamp("us", tz="UTC"))


def frame(found: Iterable[pa.RecordBatch], columns: Sequence[str]) -> pd.DataFrame:
    """Batches as one frame; words are categories, whole numbers that may be missing stay whole."""
    kinds = {
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    with _collector_paused():
        table = pa.Table.from_batches(list(found), schema(columns)).unify_dictionaries()
    # Columns are let go of as they are turned, so that no two copies of a large trace stand at once.
    made: pd.DataFrame = table.to_pandas(types_mapper=kinds.get, self_destruct=True)
    return made
