"""A correct sender on the standard library alone: `python stdlib_sender.py --port N --db FILE`.

It differs from the reference sender where it may: threads, field names in lower camel case, escaped
JSON, a new connection for each request. Accepted messages survive a kill. Stops on SIGTERM and when
standard input closes.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import io
import json
import os
import random
import re
import secrets
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from heapq import heappop, heappush
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, time
from typing import Any
from urllib.parse import parse_qs, urlsplit

BASE = "/v1/webhook"
DEADLINE = 5.0  # seconds for a whole answer, or the Timeout if that is less (伺服器要求 3)
LONGEST = 3600.0  # seconds: the longest wait
MAX_BODY = 16 * 1024 * 1024  # Base64 media is large (訊息類型說明)
TLS = ssl.create_default_context()
AT_ONCE = 32  # attempts in flight for one webhook
FIELDS = ("key", "fromUser", "toUser", "msgType", "content", "isSelfMsg", "createTime", "isHistory")


class Refused(Exception):
    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Webhook:
    id: str
    url: str
    secret: str
    enabled: bool
    timeout: int
    retryCount: int
    messageTypes: list[str]
    includeSelfMessage: bool

    def wants(self, event: dict[str, Any]) -> bool:
        if not self.enabled or (event["isSelfMsg"] and not self.includeSelfMessage):
            return False
        return any(kind == "*" or int(kind) == event["msgType"] for kind in self.messageTypes)

    def shown(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "secret"}


def is_url(value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]+", value, re.IGNORECASE):
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:  # an invalid port or address
        return False


def is_types(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, str) and re.fullmatch(r"[0-9]{1,9}|\*", each) for each in value
    )


def is_whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high  # True is an int too


SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "url": (is_url, "an http or https URL in ASCII, with a host and without a user name"),
    "secret": (lambda value: isinstance(value, str) and value != "", "a string that is not empty"),
    "enabled": (lambda value: type(value) is bool, "true or false"),
    "timeout": (is_whole(1, 300), "1 to 300 seconds"),
    "retryCount": (is_whole(0, 100), "0 to 100"),
    "messageTypes": (is_types, 'an array of types in digits, or "*"'),
    "includeSelfMessage": (lambda value: type(value) is bool, "true or false"),
}
DEFAULTS = {"enabled": True, "timeout": 10, "retryCount": 3, "messageTypes": ["*"]}
NAMES = {name.lower(): name for name in ("id", *SETTINGS)}  # `URL` and `url` are both accepted


def settings_in(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refused("the body must be an object")
    return {NAMES[name.lower()]: value for name, value in body.items() if name.lower() in NAMES}


def webhook(settings: dict[str, Any]) -> Webhook:
    settings = {"includeSelfMessage": False} | DEFAULTS | settings
    for name, (is_valid, description) in SETTINGS.items():
        if not is_valid(settings.get(name)):
            raise Refused(f"{name} must be {description}")
    return Webhook(**settings)


def encode(event: Any) -> bytes:
    """An event without its timestamp, escaped, so that any text survives, even a lone surrogate."""
    if not isinstance(event, dict) or not all(name in event for name in FIELDS):
        raise Refused(f"a message event must be an object with msgId and {', '.join(FIELDS)}")
    if not isinstance(event.get("msgId"), str) or not event["msgId"]:
        raise Refused("msgId must be a string that is not empty")
    event = {name: value for name, value in event.items() if name != "timestamp"}
    try:
        return json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError):  # Python reads 1e400 as infinity, which is not JSON
        raise Refused("content contains too large a number, or is nested too deeply") from None


def stamp(body: bytes, timestamp: int) -> bytes:
    return b'{"timestamp":%d,' % timestamp + body[1:]


class WholeLines(io.BufferedReader):
    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise IncompleteRead(line)
        return line


class WholeAnswer(HTTPResponse):
    """http.client accepts an answer whose head is truncated. This class does not."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = WholeLines(self.fp.detach())


@dataclass(frozen=True, slots=True)
class Outcome:
    problem: str  # empty: delivered
    status: int | None = None
    retry_after: float = 0.0


def post(hook: Webhook, body: bytes, timestamp: int) -> Outcome:
    """One attempt, freshly signed. It ends within the deadline and never raises."""
    seconds = min(DEADLINE, hook.timeout)
    ends = monotonic() + seconds
    try:
        outcome = exchange(hook, body, timestamp, seconds)
    except ConnectionRefusedError:
        outcome = Outcome("unreachable: nothing listens there")
    except (ConnectionError, HTTPException):
        outcome = Outcome("broken off: the connection ended before a whole answer, or is not HTTP")
    except OSError as fault:
        outcome = Outcome(f"unreachable: {fault.strerror or fault}")
    except Exception as fault:  # any error is a failed attempt, never a lost message
        outcome = Outcome(f"failed: {type(fault).__name__}")
    late = monotonic() >= ends
    return Outcome(f"timed out: no whole answer within {seconds:g} s") if late else outcome


def cut(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def exchange(hook: Webhook, body: bytes, timestamp: int, seconds: float) -> Outcome:
    signed = b"%d:%b" % (timestamp, body)  # exactly the bytes that are sent (驗證簽名)
    headers = {
        "Content-Type": "application/json",
        "Connection": "close",
        "X-Webhook-Timestamp": str(timestamp),
        "X-Webhook-Signature": hmac.new(hook.secret.encode(), signed, hashlib.sha256).hexdigest(),
    }
    url, start = urlsplit(hook.url), monotonic()
    if url.scheme.lower() == "https":
        line: HTTPConnection = HTTPSConnection(url.netloc, timeout=seconds, context=TLS)
    else:
        line = HTTPConnection(url.netloc, timeout=seconds)
    line.response_class = WholeAnswer
    with closing(line):
        line.connect()
        # The timeout bounds one operation only; an answer that drips would never end.
        alarm = threading.Timer(seconds - (monotonic() - start), cut, (line.sock,))
        alarm.start()
        try:
            line.request("POST", f"{url.path or '/'}{url.query and '?'}{url.query}", body, headers)
            answer = line.getresponse()
            answer.read()
        finally:
            alarm.cancel()
    if answer.status == 200:  # nothing else: no other 2xx, no redirect (接收流程 2)
        return Outcome("", 200)
    wait = answer.headers.get("Retry-After", "")
    after = float(wait) if re.fullmatch("[0-9]{1,9}", wait) else 0.0
    return Outcome(f"refused: it answered {answer.status}, not 200", answer.status, after)


def send_test(hook: Webhook) -> dict[str, Any]:
    now, start = int(time()), monotonic()
    event: dict[str, Any] = dict.fromkeys(("key", "fromUser", "toUser"), "webhook_test")
    event |= {"msgId": str(secrets.randbelow(2**63)), "msgType": 1, "content": "測試訊息"}
    event |= {"isSelfMsg": False, "createTime": now, "isHistory": False}
    outcome = post(hook, stamp(encode(event), now), now)
    result = {"success": not outcome.problem, "message": outcome.problem or "it answered 200"}
    elapsed = round((monotonic() - start) * 1000, 1)
    return {"id": hook.id} | result | {"status": outcome.status, "elapsed": elapsed}


class Store:
    """Webhooks and deliveries in SQLite. Each call is one transaction."""

    def __init__(self, file: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False)
        # EXCLUSIVE: a second process on the file would send everything twice. NORMAL: in WAL mode
        # commits survive the end of the process. FULL would sync each commit, to survive a power cut.
        # A delivery without a body is finished; it stays so that a repeat is recognised (訊息去重).
        # AUTOINCREMENT: an attempt of a deleted delivery must not write to one that reuses its id.
        self._db.executescript(
            """
            PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
            CREATE TABLE IF NOT EXISTS webhook (id TEXT PRIMARY KEY, settings TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS delivery (
                id INTEGER PRIMARY KEY AUTOINCREMENT, webhook TEXT NOT NULL, msg_id TEXT NOT NULL,
                body BLOB, stamp INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
                due REAL NOT NULL DEFAULT 0, UNIQUE (webhook, msg_id));
            """
        )

    def do(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, self._db:
            return self._db.execute(statement, values).fetchall()

    def add(self, copies: Iterable[tuple[str, str, bytes]]) -> list[tuple[str, int]]:
        """Store (webhook, message id, body), all or none. Returns (webhook, id) of those that are new."""
        insert = "INSERT OR IGNORE INTO delivery (webhook, msg_id, body) VALUES (?, ?, ?)"
        with self._lock, self._db:
            added = [(copy[0], self._db.execute(insert, copy)) for copy in copies]
            return [(hook, row.lastrowid or 0) for hook, row in added if row.rowcount]


class Lane:
    """The deliveries of one webhook, on threads of its own: a slow endpoint delays no other."""

    def __init__(self, hook: Webhook, store: Store, backoff_base: float) -> None:
        self.hook = hook
        self._store = store
        self._backoff_base = backoff_base
        self._waiting: list[tuple[float, int]] = []  # a heap of (monotonic time, delivery)
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(AT_ONCE)
        threading.Thread(target=self._watch, daemon=True).start()

    def put(self, delivery: int, wait: float = 0.0) -> None:
        with self._changed:
            heappush(self._waiting, (monotonic() + wait, delivery))
            self._changed.notify()

    def change(self, hook: Webhook) -> None:
        """Use the settings in `hook` from the next attempt on."""
        with self._changed:
            self.hook = hook
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while True:
                some = self._waiting and self.hook.enabled
                wait = self._waiting[0][0] - monotonic() if some else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                else:
                    self._pool.submit(self._work, heappop(self._waiting)[1])

    def _work(self, delivery: int) -> None:
        try:
            wait = self._attempt(delivery)
        except sqlite3.Error:  # the result is not stored: better to send twice than to lose it
            wait = 1.0
        if wait is not None:
            self.put(delivery, wait)

    def _attempt(self, delivery: int) -> float | None:
        """Send once. Returns the seconds until the next attempt, or None if there is none."""
        hook, do = self.hook, self._store.do
        if not hook.enabled:
            return 0.0
        rows = do("SELECT body, stamp, attempts FROM delivery WHERE id = ?", delivery)
        if not rows:  # its webhook was deleted
            return None
        body, first, attempts = rows[0]
        now = int(time())
        first = now if first is None else first  # the body stays as it was in the first attempt
        outcome = post(hook, stamp(body, first), now)
        if not outcome.problem or attempts >= hook.retryCount:
            do("UPDATE delivery SET body = NULL WHERE id = ?", delivery)
            return None
        # Jitter, or all that failed together would be retried together.
        wait: float = min(LONGEST, self._backoff_base * 2**attempts) * random.uniform(0.8, 1.2)  # noqa: S311
        wait = max(wait, min(outcome.retry_after, LONGEST))
        later = "UPDATE delivery SET stamp = ?, attempts = ?, due = ? WHERE id = ?"
        do(later, first, attempts + 1, time() + wait, delivery)
        return wait


class Sender:
    """The API, one method per call. Each takes the query and the body and returns `data`."""

    def __init__(self, store: Store, backoff_base: float) -> None:
        self._store = store
        self._backoff_base = backoff_base
        self._lock = threading.Lock()
        self._lanes: dict[str, Lane] = {}
        for (settings,) in store.do("SELECT settings FROM webhook ORDER BY rowid"):
            self._put(Webhook(**json.loads(settings)))
        waiting = "SELECT webhook, id, due FROM delivery WHERE body IS NOT NULL ORDER BY id"
        for ident, delivery, due in store.do(waiting):
            self._lanes[ident].put(delivery, min(LONGEST, max(0.0, due - time())))

    def create(self, query: dict[str, str], body: Any) -> Any:
        """Create a webhook, or replace the one with this URL. That keeps its secret if none is given."""
        settings = settings_in(body)
        with self._lock:
            existing = self._by_url(settings.get("url"))
            secret = {"secret": existing.secret} if existing else {}
            ident = {"id": existing.id if existing else f"wh_{secrets.token_hex(6)}"}
            return self._put(webhook(secret | settings | ident))

    def update(self, query: dict[str, str], body: Any) -> Any:
        settings = settings_in(body)
        with self._lock:
            ident = settings.get("id", query.get("id"))
            existing = self._by_url(settings.get("url")) if ident is None else self._by_id(ident)
            if existing is None:
                raise Refused("give an id, or a url that List shows", 404)
            hook = webhook(asdict(existing) | settings | {"id": existing.id})
            if self._by_url(hook.url) not in (existing, None):
                raise Refused("url belongs to another webhook", 409)
            return self._put(hook)

    def delete(self, query: dict[str, str], body: Any) -> Any:
        with self._lock:
            hook = self._by_id(query.get("id"))
            for statement in ("webhook WHERE id = ?", "delivery WHERE webhook = ?"):
                self._store.do(f"DELETE FROM {statement}", hook.id)  # noqa: S608 - our own text
            del self._lanes[hook.id]
        return {"id": hook.id}

    def list(self, query: dict[str, str], body: Any) -> Any:
        with self._lock:
            return [lane.hook.shown() for lane in self._lanes.values()]

    def test(self, query: dict[str, str], body: Any) -> Any:
        """Test the webhook with this id, or all that are enabled, in parallel."""
        with self._lock:
            enabled = [lane.hook for lane in self._lanes.values() if lane.hook.enabled]
            hooks = [self._by_id(query["id"])] if "id" in query else enabled
        if not hooks:
            raise Refused(f"no webhook is enabled: POST one to {BASE}/Config", 404)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = [*pool.map(send_test, hooks)]
        return results[0] if len(results) == 1 else results

    def emit(self, query: dict[str, str], body: Any) -> Any:
        """Store a message, or a list of messages, for every webhook that wants it."""
        bodies = [(event, encode(event)) for event in (body if isinstance(body, list) else [body])]
        with self._lock:
            hooks = [lane.hook for lane in self._lanes.values()]
            copies = [
                (hook.id, json.dumps(event["msgId"]), encoded)  # SQLite refuses a lone surrogate
                for event, encoded in bodies
                for hook in hooks
                if hook.wants(event)
            ]
            for ident, delivery in self._store.add(copies):
                self._lanes[ident].put(delivery)
        return {"accepted": len(bodies)}

    def _put(self, hook: Webhook) -> dict[str, Any]:
        statement = "INSERT INTO webhook VALUES (?, ?) ON CONFLICT DO UPDATE SET settings = excluded.settings"
        self._store.do(statement, hook.id, json.dumps(asdict(hook)))
        if hook.id in self._lanes:
            self._lanes[hook.id].change(hook)
        else:
            self._lanes[hook.id] = Lane(hook, self._store, self._backoff_base)
        return hook.shown()

    def _by_url(self, url: Any) -> Webhook | None:
        return next((lane.hook for lane in self._lanes.values() if lane.hook.url == url), None)

    def _by_id(self, ident: Any) -> Webhook:
        if not isinstance(ident, str) or ident not in self._lanes:
            raise Refused("give an id that List shows", 404)
        return self._lanes[ident].hook


class Server(ThreadingHTTPServer):
    request_queue_size = 512  # with the default of 5 a burst waits for TCP retransmissions

    def __init__(self, port: int, sender: Sender) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.calls: dict[str, Callable[[dict[str, str], Any], Any]] = {
            "POST Config": sender.create,
            "GET List": sender.list,
            "GET Test": sender.test,
            "PUT Update": sender.update,
            "DELETE Delete": sender.delete,
            "POST Emit": sender.emit,
        }


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: do not delay the second

    def handle(self) -> None:
        with suppress(ConnectionError):  # the peer may hang up: that is no error here
            super().handle()

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        try:
            data = self._call(path, {name: values[-1] for name, values in parse_qs(query).items()})
            self._send(202 if path.endswith("/Emit") else 200, "success", data)
        except Refused as refusal:
            self._send(refusal.status, str(refusal))
        except sqlite3.Error:
            self._send(503, "could not store it: send it again")

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = answer

    def _call(self, path: str, query: dict[str, str]) -> Any:
        length = self.headers.get("Content-Length", "0")
        chunked = "Transfer-Encoding" in self.headers
        if chunked or not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY:
            self.close_connection = True  # where the next request would start is unknown
            raise Refused(f"Content-Length must be at most {MAX_BODY}", 411 if chunked else 413)
        body = self.rfile.read(int(length))  # in any case: the next request starts after it
        base, _, name = path.rpartition("/")
        call = self.server.calls.get(f"{self.command} {name}") if base == BASE else None
        if call is None:
            raise Refused(f"the API under {BASE} is: {', '.join(self.server.calls)}", 404)
        try:
            # Decode strictly first: json.loads on bytes accepts UTF-16.
            return call(
                query, json.loads(body.decode()) if self.command in ("POST", "PUT") else None
            )
        except (ValueError, RecursionError):
            raise Refused("the body must be JSON in UTF-8, and not nested too deeply") from None

    def _send(self, status: int, message: str, data: Any = None) -> None:
        code = 0 if status < 400 else status
        body = json.dumps({"code": code, "message": message, "data": data}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log every request."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--backoff-base", type=float, default=1.0, help="seconds of the first wait")
    parser.add_argument("--db", default=":memory:", help="a file, to survive a kill")
    options = parser.parse_args()
    server = Server(options.port, Sender(Store(options.db), options.backoff_base))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}{BASE}", flush=True)
    while os.read(0, 4096):  # until standard input closes, so as never to outlive the parent
        pass
    os._exit(0)  # exit without waiting for the threads: all that matters is committed


if __name__ == "__main__":
    main()
