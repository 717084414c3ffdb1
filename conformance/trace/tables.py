"""The tables of a trace file, and the conversion of an exchange into rows and back.

The narrow columns (times, statuses, sizes) and the wide ones (headers, bodies) are in two tables, so
that a million exchanges can be searched without reading a byte of a body. `docs/traces.md` describes
the file for other tools.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from conformance.model.exchange import (
    Answer,
    Exchange,
    Fault,
    Headers,
    Leg,
    Masked,
    Request,
    Role,
    Signing,
    Transport,
)

APPLICATION_ID = 0x486F6F6B
"""SQLite's application_id of a trace: "Hook"."""
VERSION = 4

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rules (rule TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE results (
  id INTEGER PRIMARY KEY,
  rule TEXT NOT NULL,
  "case" TEXT,
  level TEXT NOT NULL,
  outcome TEXT NOT NULL,
  code TEXT,
  message TEXT NOT NULL,
  sentence TEXT NOT NULL,
  seconds REAL NOT NULL,
  reproduce TEXT,
  judged INTEGER NOT NULL
);
CREATE TABLE evidence (
  result INTEGER NOT NULL REFERENCES results (id),
  place INTEGER NOT NULL,
  exchange INTEGER NOT NULL,
  PRIMARY KEY (result, place)
) WITHOUT ROWID;
CREATE TABLE exchanges (
  id INTEGER PRIMARY KEY,
  role TEXT NOT NULL,
  rule TEXT,
  "case" TEXT,
  step INTEGER NOT NULL,
  msg_id TEXT,
  attempt INTEGER,
  method TEXT NOT NULL,
  url TEXT NOT NULL,
  transport TEXT NOT NULL,
  status INTEGER,
  fault TEXT,
  detail TEXT NOT NULL,
  started REAL NOT NULL,
  sent REAL NOT NULL,
  ended REAL NOT NULL,
  clock REAL,
  peer TEXT,
  request_size INTEGER NOT NULL,
  answer_size INTEGER,
  masked TEXT,
  superseded INTEGER NOT NULL,
  injected TEXT,
  leg TEXT,
  link INTEGER
);
CREATE TABLE contents (
  id INTEGER PRIMARY KEY REFERENCES exchanges (id),
  request_headers TEXT NOT NULL,
  request_body BLOB NOT NULL,
  answer_headers TEXT,
  answer_body BLOB,
  answer_cut INTEGER,
  signing TEXT,
  raw BLOB
);
CREATE VIEW whole AS SELECT * FROM exchanges JOIN contents USING (id);
CREATE VIEW findings AS
  SELECT evidence.exchange, results.rule, results."case", level, outcome, message
  FROM evidence JOIN results ON results.id = evidence.result
  WHERE outcome IN ('fail', 'warn', 'note');
"""
INDEXES = """
CREATE INDEX exchanges_by_message ON exchanges (msg_id);
CREATE INDEX exchanges_by_rule ON exchanges (rule, "case");
CREATE INDEX exchanges_by_status ON exchanges (role, status, fault);
CREATE INDEX exchanges_by_seconds ON exchanges (ended - sent, role, status, fault);
"""

NARROW = (
    "id", "role", "rule", "case", "step", "msg_id", "attempt", "method", "url", "transport",
    "status", "fault", "detail", "started", "sent", "ended", "clock", "peer",
    "request_size", "answer_size", "masked", "superseded", "injected", "leg", "link",
)  # fmt: skip
WIDE = (
    "request_headers", "request_body", "answer_headers", "answer_body", "answer_cut", "signing", "raw",
)  # fmt: skip

DELIVERY_ROLES = frozenset(set(Role) - {Role.OBSERVE, Role.API, Role.EMIT, Role.MALFORMED})
"""Roles of exchanges that carry a message to a receiver."""

Row = tuple[Any, ...]


def with_attempts(exchanges: Iterable[Exchange]) -> Iterator[tuple[Exchange, int | None]]:
    """Each exchange with the number of its attempt: 1 for the first delivery of its message to its
    endpoint, and so on; None for an exchange that is not a delivery."""
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for exchange in exchanges:
        if exchange.msg_id is None or exchange.role not in DELIVERY_ROLES:
            yield exchange, None
            continue
        endpoint_counts = counts[exchange.request.url.partition("?")[0]]
        attempt = endpoint_counts.get(exchange.msg_id, 0) + 1
        endpoint_counts[exchange.msg_id] = attempt
        yield exchange, attempt


def escape_surrogates(text: str) -> str:
    """`text` with lone surrogates, which no database accepts, escaped as `\\ud83d`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def exchange_row(exchange: Exchange, attempt: int | None) -> Row:
    """The exchange's row of `exchanges`."""
    request, answer = exchange.request, exchange.answer
    return (
        exchange.id,
        exchange.role.value,
        exchange.rule,
        exchange.case,
        exchange.step,
        exchange.msg_id and escape_surrogates(exchange.msg_id),
        attempt,
        request.method,
        escape_surrogates(request.url),
        request.transport.value,
        answer.status if answer is not None else None,
        exchange.fault.value if exchange.fault is not None else None,
        escape_surrogates(exchange.detail),
        exchange.started,
        exchange.sent,
        exchange.ended,
        exchange.clock,
        exchange.peer,
        len(request.body if exchange.raw is None else exchange.raw),
        len(answer.body) if answer is not None else None,
        " ".join(sorted(exchange.masked)) or None,
        exchange.superseded,
        exchange.injected,
        exchange.leg.value if exchange.leg is not None else None,
        exchange.link,
    )


def contents_row(exchange: Exchange) -> Row:
    """The exchange's row of `contents`."""
    request, answer = exchange.request, exchange.answer
    signing = _signing(exchange.signing, request.body) if exchange.signing is not None else None
    received: Row = (None, None, None)
    if answer is not None:
        received = _cached_headers_json(answer.headers), answer.body, answer.cut
    headers = _headers_json(request.headers)
    return exchange.id, headers, request.body, *received, signing, exchange.raw


def exchange_from(row: Sequence[Any]) -> Exchange:
    """The exchange of a row of the view `whole`. Raises ValueError for a row that is not valid."""
    fields = dict(zip((*NARROW, *WIDE), row, strict=True))
    answer = None
    if fields["answer_headers"] is not None:
        headers = read_headers(fields["answer_headers"])
        answer = Answer(
            fields["status"], headers, fields["answer_body"], bool(fields["answer_cut"])
        )
    signing, body = fields["signing"], fields["request_body"]
    request_headers = read_headers(fields["request_headers"])
    fields |= {
        "role": Role(fields["role"]),
        "request": Request(
            fields["method"],
            fields["url"],
            request_headers,
            body,
            Transport(fields["transport"]),
        ),
        "signing": _read_signing(signing, body) if signing is not None else None,
        "answer": answer,
        "fault": Fault(fields["fault"]) if fields["fault"] is not None else None,
        "masked": frozenset(Masked(word) for word in (fields["masked"] or "").split()),
        "superseded": bool(fields["superseded"]),
        "leg": Leg(fields["leg"]) if fields["leg"] is not None else None,
    }
    return Exchange(**{name: fields[name] for name in Exchange.__slots__})


def _headers_json(headers: Headers) -> str:
    """Header bytes as JSON; latin-1 maps every byte to a character and back."""
    pairs = [
        f"[{quoted(name.decode('latin-1'))}, {quoted(value.decode('latin-1'))}]"
        for name, value in headers
    ]
    return f"[{', '.join(pairs)}]"


_cached_headers_json = lru_cache(1024)(_headers_json)  # answers repeat the same headers


def read_headers(text: str) -> Headers:
    """The header bytes from their JSON. Raises ValueError."""
    try:
        return tuple(
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in json.loads(text)
        )
    except (TypeError, AttributeError, RecursionError):
        raise ValueError("headers are not a list of pairs of strings") from None


def _signing(signing: Signing, body: bytes) -> str:
    """A signing as JSON, without a body that equals the request's, and without what has its default where
    nothing was tampered with."""
    stamp = signing.timestamp.decode("latin-1")
    if signing == Signing(signing.timestamp, body):
        return f'{{"timestamp": {quoted(stamp)}}}'
    fields = asdict(signing) | {"timestamp": stamp}
    signed = fields.pop("body")
    if signed != body:
        fields["body"] = base64.b64encode(signed).decode()
    return json.dumps(fields)


def _read_signing(text: str, body: bytes) -> Signing:
    try:
        fields = json.loads(text)
        fields["timestamp"] = fields["timestamp"].encode("latin-1")
        fields["body"] = base64.b64decode(fields["body"]) if "body" in fields else body
        if "signatures" in fields:
            fields["signatures"] = tuple(fields["signatures"])
        return Signing(**fields)
    except (TypeError, AttributeError, KeyError, RecursionError):
        raise ValueError("the signing cannot be read") from None
