"""Exports a trace, or a part of it, for other tools: JSON Lines, HAR, Parquet, or another trace."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.model.errors import InputError
from conformance.model.exchange import Exchange, Headers
from conformance.model.extras import extra
from conformance.trace.filter import TraceFilter
from conformance.trace.har import har
from conformance.trace.store import whole_file
from conformance.trace.stored import FRAMES, StoredTrace
from conformance.trace.tables import NARROW, WIDE

STDOUT = Path("-")
TEXTS = ("jsonl", "har")


def export(stored: StoredTrace, kind: str, path: Path, trace_filter: TraceFilter) -> int:
    """Write the exchanges that match to a new file, and return how many they are.

    `kind` is a key of KINDS; the text formats may go to STDOUT as well. Raises InputError for a file
    that exists already or cannot be written, and then no file is left.
    """
    if path == STDOUT and kind not in TEXTS:
        raise InputError(
            "--export: {kind} is not a text format: give a file in place of `-`", kind=kind
        )
    if path != STDOUT and path.exists():
        raise InputError("--export: {path} exists already: choose another name", path=str(path))
    KINDS[kind](stored, path, trace_filter)
    return stored.count(trace_filter)


def _jsonl(stored: StoredTrace, path: Path, trace_filter: TraceFilter) -> None:
    epoch = (stored.run or {}).get("epoch")
    lines = (
        json.dumps(as_json(exchange, epoch), ensure_ascii=False) + "\n"
        for exchange in stored.find(trace_filter)
    )
    _write(path, lines)


def _har(stored: StoredTrace, path: Path, trace_filter: TraceFilter) -> None:
    _write(path, har(stored.find(trace_filter), (stored.run or {}).get("epoch", 0.0)))


def _parquet(stored: StoredTrace, path: Path, trace_filter: TraceFilter) -> None:
    frames, columns = extra(*FRAMES), (*NARROW, *WIDE)
    parquet = extra("pyarrow.parquet", FRAMES[1])
    with (
        whole_file(path) as part,
        parquet.ParquetWriter(part, frames.schema(columns), compression="zstd") as file,
    ):
        for batch in stored.batches(trace_filter, columns):
            file.write_batch(batch)


def _trace(stored: StoredTrace, path: Path, trace_filter: TraceFilter) -> None:
    if trace_filter:
        raise InputError("--export trace: copies a whole trace: leave out the filters")
    stored.save(path)


KINDS: dict[str, Callable[[StoredTrace, Path, TraceFilter], None]] = {
    "jsonl": _jsonl,
    "har": _har,
    "parquet": _parquet,
    "trace": _trace,
}


def as_json(exchange: Exchange, epoch: float | None) -> dict[str, Any]:
    """One exchange as `schemas/trace.schema.json` describes it; a body that is not text is Base64."""
    answer, request = exchange.answer, exchange.request
    start = (
        exchange.clock if exchange.clock is not None or epoch is None else epoch + exchange.started
    )
    return {
        "id": exchange.id,
        "role": exchange.role,
        "rule": exchange.rule,
        "case": exchange.case,
        "step": exchange.step,
        "msg_id": exchange.msg_id,
        "time": datetime.fromtimestamp(start, UTC).isoformat() if start is not None else None,
        "method": request.method,
        "url": request.url,
        "transport": request.transport,
        "request_headers": _headers(request.headers),
        **_body("request_body", request.body),
        "status": answer.status if answer is not None else None,
        "answer_headers": _headers(answer.headers) if answer is not None else None,
        **_body("answer_body", answer.body if answer is not None else None),
        "answer_cut": answer.cut if answer is not None else None,
        "fault": exchange.fault,
        "detail": exchange.detail,
        "started": exchange.started,
        "sent": exchange.sent,
        "ended": exchange.ended,
        "peer": exchange.peer,
        "masked": sorted(exchange.masked),
        "superseded": exchange.superseded,
        **_body("raw", exchange.raw),
        "injected": exchange.injected,
        "leg": exchange.leg,
        "link": exchange.link,
    }


def _body(name: str, body: bytes | None) -> dict[str, str | None]:
    if body is None:
        return {name: None}
    try:
        return {name: body.decode()}
    except UnicodeDecodeError:
        return {name: base64.b64encode(body).decode(), f"{name}_encoding": "base64"}


def _headers(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _write(path: Path, pieces: Iterable[str]) -> None:
    if path == STDOUT:
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode())  # whatever the terminal's encoding
        return
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)
