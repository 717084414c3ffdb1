"""The tables of a trace file, and the way of an exchange into a row and back.

What is narrow (times, statuses, sizes) stands apart from what is wide (headers, bodies), so that a
million exchanges are looked through without reading a byte of a body. `docs/traces.md` describes the
file for other tools.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from conformance.model.exchange import (
    Answer,
    Exchange,
    Fault,
    Headers,
    Masked,
    Request,
    Role,
    Signing,
    Transport,
)

APPLICATION_ID = 0x486F6F6B
"""SQLite's application_id of a trace: "Hook"."""
VERSION = 2

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rules (rule TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE results (
  id INTEGER PRIMARY KEY,
  rule TEXT NOT NULL,
  "case" TEXT,
  level TEXT NOT NULL,
  outcome TEXT NOT NULL,
  message TEXT NOT NULL,
  message_zh TEXT NOT NULL,
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
  superseded INTEGER NOT NULL
);
CREATE TABLE contents (
  id INTEGER PRIMARY KEY REFERENCES exchanges (id),
  request_headers TEXT NOT NULL,
  request_body BLOB NOT NULL,
  answer_headers TEXT,
  answer_body BLOB,
  answer_cut INTEGER,
  signing TEXT
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
    "request_size", "answer_size", "masked", "superseded",
)  # fmt: skip
WIDE = (
    "request_headers", "request_body", "answer_headers", "answer_body", "answer_cut", "signing",
)  # fmt: skip

DELIVERING = frozenset(set(Role) - {Role.OBSERVE, Role.API, Role.EMIT})
"""Roles of exchanges that carry a message to a receiver."""

Row = tuple[Any, ...]


def numbered(exchanges: Iterable[Exchange]) -> Iterator[tuple[Exchange, int | None]]:
    """Each exchange with its attempt: the how-manieth delivery of its message to its endpoint."""
    seen: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for each in exchanges:
        if each.msg_id is None or each.role not in DELIVERING:
            yield each, None
            continue
        of_endpoint = seen[each.request.url.partition("?")[0]]
        attempt = of_endpoint.get(each.msg_id, 0) + 1
        of_endpoint[each.msg_id] = attempt
        yield each, attempt


def sound(text: str) -> str:
    """`text` with lone surrogates, which no database takes, spelled out as `\\ud83d`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def narrow(each: Exchange, attempt: int | None) -> Row:
    """The row of `exchanges`."""
    request, answer = each.request, each.answer
    return (
        each.id,
        each.role.value,
        each.rule,
        each.case,
        each.step,
        each.msg_id and sound(each.msg_id),
        attempt,
        request.method,
        sound(request.url),
        request.transport.value,
        answer.status if answer is not None else None,
        each.fault.value if each.fault is not None else None,
        sound(each.detail),
        each.started,
        each.sent,
        each.ended,
        each.clock,
        each.peer,
        len(request.body),
        len(answer.body) if answer is not None else None,
        " ".join(sorted(each.masked)) or None,
        each.superseded,
    )


def wide(each: Exchange) -> Row:
    """The row of `contents`."""
    request, answer = each.request, each.answer
    signing = _signing(each.signing, request.body) if each.signing is not None else None
    if answer is None:
        return each.id, _written(request.headers), request.body, None, None, None, signing
    return (
        each.id,
        _written(request.headers),
        request.body,
        _often_written(answer.headers),
        answer.body,
        answer.cut,
        signing,
    )


def exchange(row: Sequence[Any]) -> Exchange:
    """The exchange of a row of the view `whole`. Raises ValueError for one that no trace holds."""
    one = dict(zip((*NARROW, *WIDE), row, strict=True))
    answer = None
    if one["answer_headers"] is not None:
        headers = read_headers(one["answer_headers"])
        answer = Answer(one["status"], headers, one["answer_body"], bool(one["answer_cut"]))
    signing = one["signing"]
    return Exchange(
        id=one["id"],
        role=Role(one["role"]),
        rule=one["rule"],
        case=one["case"],
        step=one["step"],
        msg_id=one["msg_id"],
        request=Request(
            one["method"],
            one["url"],
            read_headers(one["request_headers"]),
            one["request_body"],
            Transport(one["transport"]),
        ),
        signing=_read_signing(signing, one["request_body"]) if signing is not None else None,
        answer=answer,
        fault=Fault(one["fault"]) if one["fault"] is not None else None,
        detail=one["detail"],
        started=one["started"],
        sent=one["sent"],
        ended=one["ended"],
        peer=one["peer"],
        clock=one["clock"],
        masked=frozenset(Masked(word) for word in (one["masked"] or "").split()),
        superseded=bool(one["superseded"]),
    )


def _written(headers: Headers) -> str:
    """Header bytes as JSON; latin-1 gives every byte a character and back."""
    pairs = [
        f"[{quoted(name.decode('latin-1'))}, {quoted(value.decode('latin-1'))}]"
        for name, value in headers
    ]
    return f"[{', '.join(pairs)}]"


_often_written = lru_cache(1024)(_written)  # answers carry the same headers again and again


def read_headers(written: str) -> Headers:
    """The header bytes behind their JSON. Raises ValueError."""
    try:
        return tuple(
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in json.loads(written)
        )
    except (TypeError, AttributeError, RecursionError):
        raise ValueError("headers are no list of pairs of texts") from None


def _signing(signing: Signing, body: bytes) -> str:
    """As JSON; what is as in most, and a body that is the request's own, is left out."""
    stamp = f'{{"timestamp": {quoted(signing.timestamp.decode("latin-1"))}'
    if signing.authentic and signing.body == body and _is_plain(signing):
        return stamp + "}"
    words = {
        "secret": signing.secret,
        "signed_stamp": signing.signed_stamp,
        "signatures": signing.signatures,
        "stamp": signing.stamp,
        "prefix": signing.prefix,
        "authentic": signing.authentic,
    }
    if signing.body != body:
        words["body"] = base64.b64encode(signing.body).decode()
    return f"{stamp}, {json.dumps(words)[1:]}"


def _is_plain(signing: Signing) -> bool:
    """Whether all but timestamp, body and `authentic` is as it is unless something was damaged."""
    words = (
        signing.secret,
        signing.signed_stamp,
        signing.signatures,
        signing.stamp,
        signing.prefix,
    )
    return words == (None, "$TS", ("$SIG",), "$TS", "")


def _read_signing(written: str, body: bytes) -> Signing:
    try:
        words = json.loads(written)
        words["timestamp"] = words["timestamp"].encode("latin-1")
        words["body"] = base64.b64decode(words["body"]) if "body" in words else body
        if "signatures" in words:
            words["signatures"] = tuple(words["signatures"])
        return Signing(**words)
    except (TypeError, AttributeError, KeyError, RecursionError):
        raise ValueError("what was signed cannot be read") from None
