"""The exchanges of a run: a list in memory, and one SQLite file when it is asked for.

A trace never holds the secret: it records what was sent, and of a signature only what it was made
of.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from conformance.errors import InputError
from conformance.exchange import Answer, Exchange, Headers, Request

APPLICATION_ID = 0x486F6F6B
"""SQLite's application_id of a trace: "Hook"."""
VERSION = 1
MASK = b"(secret)"

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE exchanges (
  id INTEGER PRIMARY KEY,
  role TEXT NOT NULL,
  rule TEXT,
  "case" TEXT,
  step INTEGER NOT NULL,
  msg_id TEXT,
  method TEXT NOT NULL,
  url TEXT NOT NULL,
  transport TEXT NOT NULL,
  request_headers TEXT NOT NULL,
  request_body BLOB NOT NULL,
  status INTEGER,
  answer_headers TEXT,
  answer_body BLOB,
  fault TEXT,
  detail TEXT NOT NULL,
  started REAL NOT NULL,
  sent REAL NOT NULL,
  ended REAL NOT NULL,
  peer TEXT
);
CREATE INDEX exchanges_by_message ON exchanges (msg_id);
CREATE INDEX exchanges_by_rule ON exchanges (rule);
"""


class Trace:
    """Exchanges in the order in which they ended; ids are positions, from 1, until `number` is called."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def __len__(self) -> int:
        return len(self.exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.exchanges)

    def add(self, exchange: Exchange) -> Exchange:
        """Record `exchange` under the next id, and give it back with it."""
        numbered = replace(exchange, id=len(self.exchanges) + 1)
        self.exchanges.append(numbered)
        return numbered

    def number(self, order: Iterable[int]) -> dict[int, int]:
        """Put the exchanges into `order` (their ids now) and number them anew: old id → new id.

        Scenarios run side by side, so that ids come by chance; the order of the catalogue does not.
        """
        by_id = {each.id: each for each in self.exchanges}
        renamed = {old: new for new, old in enumerate(order, 1)}
        self.exchanges = [replace(by_id[old], id=new) for old, new in renamed.items()]
        return renamed

    def mask(self, secrets: Iterable[bytes]) -> None:
        """Take `secrets` out: a receiver may have sent one back, and a sender along."""
        for secret in secrets:
            self.exchanges = [_masked(each, secret) for each in self.exchanges]

    def save(self, path: Path, meta: dict[str, str]) -> None:
        """Write a new trace file; one that is there is replaced only if it is a trace.

        Raises InputError when it cannot be written, and then nothing is lost.
        """
        check_place(path)
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(part)) as store, store:
                store.executescript(
                    f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};{_TABLES}"
                )
                store.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
                store.executemany(
                    f"INSERT INTO exchanges VALUES ({','.join('?' * 20)})",  # noqa: S608 - no input
                    (_row(each) for each in self.exchanges),
                )
            part.replace(path)
        except (OSError, sqlite3.Error) as fault:
            part.unlink(missing_ok=True)
            raise InputError(f"--trace: {path} cannot be written: {fault}") from None


def _masked(exchange: Exchange, secret: bytes) -> Exchange:
    request, answer = exchange.request, exchange.answer
    if _holds(request, secret):
        body, headers = request.body.replace(secret, MASK), _without(request.headers, secret)
        exchange = replace(exchange, request=replace(request, headers=headers, body=body))
    if answer is not None and _holds(answer, secret):
        body, headers = answer.body.replace(secret, MASK), _without(answer.headers, secret)
        exchange = replace(exchange, answer=replace(answer, headers=headers, body=body))
    return exchange


def _holds(part: Request | Answer, secret: bytes) -> bool:
    return secret in part.body or any(secret in value for _, value in part.headers)


def _without(headers: Headers, secret: bytes) -> Headers:
    return tuple((name, value.replace(secret, MASK)) for name, value in headers)


def check_place(path: Path) -> None:
    """Raise InputError when a trace may not be written to `path`: another kind of file is there."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            ours = store.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    except sqlite3.Error:
        ours = False
    if not ours:
        raise InputError(f"--trace: {path} is there already and is no trace: choose another name")


def _row(each: Exchange) -> tuple[object, ...]:
    request, answer = each.request, each.answer
    return (
        each.id,
        each.role.value,
        each.rule,
        each.case,
        each.step,
        each.msg_id,
        request.method,
        request.url,
        request.transport.value,
        _headers(request.headers),
        request.body,
        answer.status if answer else None,
        _headers(answer.headers) if answer else None,
        answer.body if answer else None,
        each.fault.value if each.fault else None,
        each.detail,
        each.started,
        each.sent,
        each.ended,
        each.peer,
    )


def _headers(headers: Headers) -> str:
    """Header bytes as JSON; latin-1 gives every byte a character and back."""
    return json.dumps(
        [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    )
