"""A right sender on the standard library alone: `python stdlib_sender.py --port N --db FILE`.

Of another make than the reference one: names in lower camel case, escaped JSON, no connection kept.
Stops on SIGTERM and when standard input closes. With --db, what was taken outlives a kill.
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
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from heapq import heappop, heappush
from http.client import HTTPException, HTTPResponse, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from time import monotonic, time
from typing import Any, NoReturn
from urllib.parse import SplitResult, parse_qs, urlsplit

BASE = "/v1/webhook"
DEADLINE = 5.0  # seconds for a whole answer, or the Timeout if that is less (伺服器要求 3)
LONGEST = 3600.0  # seconds that a wait grows to, jitter apart
MAX_BODY = 16 * 1024 * 1024  # Base64 media is large (訊息類型說明)
AT_ONCE = 32  # attempts in flight for one webhook
KNOWN = 100_000  # deliveries back to which a repeat is known (訊息去重)
URL = re.compile(r"(?i:https?)://(\[[0-9A-Fa-f:.]+\]|\w[\w.-]*)(:[0-9]{1,5})?([/?#][!-~]*)?", re.A)


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


def _is_url(value: Any) -> bool:
    match = URL.fullmatch(value) if isinstance(value, str) else None
    try:
        if match and re.fullmatch(r"\[.*|[0-9.]+", match[1]):
            ip_address(match[1].strip("[]"))  # 1.2.3 and 1.2.3.999 are neither addresses nor names
        return match is not None and urlsplit(value).port != 0
    except ValueError:  # an address or a port that there cannot be
        return False


def _is_secret(value: Any) -> bool:  # a lone surrogate has no bytes
    return isinstance(value, str) and value != "" and not re.search("[\ud800-\udfff]", value)


def _is_types(value: Any) -> bool:
    types = value if isinstance(value, list) else [None]
    return all(isinstance(each, str) and re.fullmatch(r"[0-9]{1,9}|\*", each) for each in types)


SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "url": (_is_url, "an http or https URL in ASCII, with a host and without a user name"),
    "secret": (_is_secret, "a text, and not an empty one: with that anyone can sign"),
    "enabled": (lambda value: type(value) is bool, "true or false"),
    "timeout": (lambda value: type(value) is int and 1 <= value <= 300, "1 to 300 seconds"),
    "retryCount": (lambda value: type(value) is int and 0 <= value <= 100, "0 to 100"),
    "messageTypes": (_is_types, 'an array of types in digits, or "*"'),
    "includeSelfMessage": (lambda value: type(value) is bool, "true or false"),
}
DEFAULTS: dict[str, Any] = {"enabled": True, "timeout": 10, "retryCount": 3}
DEFAULTS |= {"messageTypes": ["*"], "includeSelfMessage": False}
NAMES = {name.lower(): name for name in ("id", *SETTINGS)}  # `URL` and `url` are both understood


def named(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refused("the body must be an object with url, secret and the other settings")
    return {NAMES[name.lower()]: value for name, value in body.items() if name.lower() in NAMES}


def webhook(settings: dict[str, Any]) -> Webhook:
    for name, (fits, words) in SETTINGS.items():
        if not fits(settings.get(name)):
            raise Refused(f"{name} must be {words}")
    return Webhook(**settings)


EVENT: dict[str, type] = dict.fromkeys(("key", "msgId", "fromUser", "toUser"), str)
EVENT |= {"msgType": int, "content": object, "createTime": int}
EVENT |= {"isSelfMsg": bool, "isHistory": bool}
CONTENT: dict[int, type] = dict.fromkeys((1, 3, 34, 43, 47, 10000, 10002), str) | {49: dict}
WORDS = {str: "a string", int: "an integer", bool: "true or false", dict: "an object"}


def check_event(event: Any, place: str) -> None:
    """Refuse what does not fit 字段說明, but for the `timestamp`, which is put in later."""
    if not isinstance(event, dict):
        raise Refused(f"{place or 'the body'} must be a message event, an object")
    for name, kind in EVENT.items():
        if name not in event:
            raise Refused(f"{place}{name} must be given")
        kind = CONTENT.get(event["msgType"], object) if name == "content" else kind
        if kind is not object and type(event[name]) is not kind:  # True is an int to isinstance
            raise Refused(f"{place}{name} must be {WORDS[kind]}")
    if not event["msgId"]:
        raise Refused(f"{place}msgId must not be empty")
    if not -(2**63) <= event["createTime"] < 2**63:
        raise Refused(f"{place}createTime must fit into 64 bits")


def encode(event: dict[str, Any]) -> bytes:
    """All but the timestamp, escaped: so any text goes unchanged, a lone surrogate too."""
    event = {name: value for name, value in event.items() if name != "timestamp"}
    return json.dumps(event, separators=(",", ":"), allow_nan=False).encode()


def stamp(body: bytes, timestamp: int) -> bytes:
    return b'{"timestamp":%d,' % timestamp + body[1:]


TLS = ssl.create_default_context()
if os.path.exists(SYSTEM := ssl.get_default_verify_paths().openssl_cafile):
    TLS.load_verify_locations(SYSTEM)  # SSL_CERT_FILE takes the place of this file: trust both


class Line(io.RawIOBase):
    """A connection that ends at the deadline. A socket's timeout bounds one operation, and would let
    an answer that drips go on for ever: so before each operation it is set to what is left."""

    def __init__(self, url: SplitResult, ends: float) -> None:
        super().__init__()
        self._ends = ends
        address = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        self._socket = socket.create_connection(address, self._left())
        if url.scheme == "https":
            self._socket = TLS.wrap_socket(self._in_time(), server_hostname=url.hostname)

    def _left(self) -> float:
        left = self._ends - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _in_time(self) -> socket.socket:
        self._socket.settimeout(self._left())
        return self._socket

    def write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._in_time().send(rest) :]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._in_time().recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:  # all that HTTPResponse asks of a socket
        return Lines(self)

    def close(self) -> None:
        self._socket.close()
        super().close()


class Lines(io.BufferedReader):
    def readline(self, size: int | None = -1, /) -> bytes:
        """A whole line: http.client takes an answer that is cut within its head for a whole one."""
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise IncompleteRead(line)
        return line


@dataclass(frozen=True, slots=True)
class Outcome:
    problem: str  # empty: delivered
    status: int | None = None
    retry_after: float = 0.0


def post(hook: Webhook, body: bytes, timestamp: int) -> Outcome:
    """One attempt, signed afresh. It ends within the deadline, and never with an exception."""
    seconds = min(DEADLINE, hook.timeout)
    try:
        return _exchange(hook, body, timestamp, monotonic() + seconds)
    except TimeoutError:
        return Outcome(f"timed out: no whole answer within {seconds:g} s")
    except (ConnectionResetError, BrokenPipeError, HTTPException):
        return Outcome("broken off: the connection ended before a whole answer, or it is not HTTP")
    except ConnectionRefusedError:
        return Outcome("unreachable: nothing listens there")
    except OSError as fault:
        return Outcome(f"unreachable: {fault.strerror or fault}")
    except Exception as fault:  # whatever it is: a failed attempt, and no lost message
        return Outcome(f"failed: {type(fault).__name__}")


def _exchange(hook: Webhook, body: bytes, timestamp: int, ends: float) -> Outcome:
    signed = b"%d:%b" % (timestamp, body)  # the very bytes that are sent (驗證簽名)
    signature = hmac.new(hook.secret.encode(), signed, hashlib.sha256).hexdigest()
    url = urlsplit(hook.url)
    head = (
        f"POST {url.path or '/'}{url.query and '?'}{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        f"X-Webhook-Timestamp: {timestamp}\r\nX-Webhook-Signature: {signature}\r\n\r\n"
    )
    with closing(Line(url, ends)) as line:
        line.write_all(head.encode() + body)
        answer = HTTPResponse(line, method="POST")  # type: ignore[arg-type]
        answer.begin()
        while answer.status < 200:  # it skips 100, but not 103 and its like
            answer.headers = None  # type: ignore[assignment]
            answer.begin()
        while answer.read(65536):
            pass
        if answer.length:
            raise IncompleteRead(b"", answer.length)
    if answer.status == 200:  # and nothing else: no other 2xx, no redirect (接收流程 2)
        return Outcome("", 200)
    wait = answer.headers.get("Retry-After", "")
    after = float(wait) if re.fullmatch("[0-9]{1,9}", wait) else 0.0
    return Outcome(f"refused: it answered {answer.status}, not 200", answer.status, after)


def send_test(hook: Webhook) -> dict[str, Any]:
    now, started = int(time()), monotonic()
    event: dict[str, Any] = dict.fromkeys(("key", "fromUser", "toUser"), "webhook_test")
    event |= {"msgId": str(secrets.randbelow(2**63)), "msgType": 1, "content": "測試訊息"}
    event |= {"isSelfMsg": False, "createTime": now, "isHistory": False}
    outcome = post(hook, stamp(encode(event), now), now)
    elapsed = round((monotonic() - started) * 1000, 1)
    said = {"success": not outcome.problem, "message": outcome.problem or "it answered 200"}
    return {"id": hook.id} | said | {"status": outcome.status, "elapsed": elapsed}


class Store:
    """Webhooks and deliveries in SQLite. Each call is one transaction."""

    def __init__(self, file: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False)
        # EXCLUSIVE: a second process on the file would send everything twice. NORMAL: in WAL mode
        # what was committed outlives the process; FULL, for the machine's end, syncs each commit.
        self._db.executescript(
            """
            PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
            PRAGMA foreign_keys=ON;
            CREATE TABLE IF NOT EXISTS webhook (id TEXT PRIMARY KEY, settings TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS delivery (
                id INTEGER PRIMARY KEY AUTOINCREMENT, msg_id TEXT NOT NULL,
                webhook TEXT NOT NULL REFERENCES webhook ON DELETE CASCADE,
                body BLOB,  -- NULL: delivered, kept to know a repeat
                stamp INTEGER, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0,
                UNIQUE (webhook, msg_id));
            """
        )

    def do(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, self._db:
            return self._db.execute(statement, values).fetchall()

    def add(self, copies: Iterable[tuple[str, str, bytes]]) -> list[tuple[str, int]]:
        """Keep (webhook, message id, body), all or none; the ids of those that are no repeats."""
        insert = "INSERT OR IGNORE INTO delivery (webhook, msg_id, body) VALUES (?, ?, ?)"
        forget = "DELETE FROM delivery WHERE body IS NULL AND id < ?"
        added = []
        with self._lock, self._db:
            for copy in copies:
                cursor = self._db.execute(insert, copy)
                if cursor.rowcount:
                    added.append((copy[0], cursor.lastrowid or 0))
            if added:
                self._db.execute(forget, (added[-1][1] - KNOWN,))
        return added


class Lane:
    """The deliveries of one webhook, on threads of its own: a slow endpoint holds up no other."""

    def __init__(self, hook: Webhook, store: Store, backoff_base: float) -> None:
        self.hook = hook
        self._store = store
        self._backoff_base = backoff_base
        self._waiting: list[tuple[float, int]] = []  # a heap of (monotonic time, delivery)
        self._changed = threading.Condition()
        self._closed = False
        self._pool = ThreadPoolExecutor(AT_ONCE)
        threading.Thread(target=self._watch, daemon=True).start()

    def put(self, delivery: int, wait: float = 0.0) -> None:
        with self._changed:
            heappush(self._waiting, (monotonic() + wait, delivery))
            self._changed.notify()

    def change(self, hook: Webhook, closed: bool = False) -> None:
        """From the next attempt on it goes by `hook`; once closed there is none."""
        with self._changed:
            self.hook, self._closed = hook, closed
            self._changed.notify()
            if closed:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                some = self._waiting and self.hook.enabled
                wait = self._waiting[0][0] - monotonic() if some else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                else:
                    self._pool.submit(self._work, heappop(self._waiting)[1])

    def _work(self, delivery: int) -> None:
        try:
            wait = self._attempt(delivery)
        except sqlite3.Error:  # what came of it is not kept: rather send twice than lose it
            wait = 1.0
        if wait is not None:
            self.put(delivery, wait)

    def _attempt(self, delivery: int) -> float | None:
        """Send once; the seconds until it is to be sent again, None for not at all."""
        hook, do = self.hook, self._store.do
        found = do("SELECT body, stamp, attempts FROM delivery WHERE id = ?", delivery)
        if self._closed or not found:
            return None
        if not hook.enabled:
            return 0.0
        body, first, attempts = found[0]
        now = int(time())
        first = now if first is None else first  # the body stays as it was first pushed
        outcome = post(hook, stamp(body, first), now)
        if not outcome.problem:
            do("UPDATE delivery SET body = NULL WHERE id = ?", delivery)
            return None
        if attempts >= hook.retryCount:  # given once more, the message would be new
            do("DELETE FROM delivery WHERE id = ?", delivery)
            return None
        # Jitter: else all that failed together come back together.
        wait: float = min(LONGEST, self._backoff_base * 2**attempts) * random.uniform(0.8, 1.2)  # noqa: S311
        wait = max(wait, min(outcome.retry_after, LONGEST))
        later = "UPDATE delivery SET stamp = ?, attempts = ?, due = ? WHERE id = ?"
        do(later, first, attempts + 1, time() + wait, delivery)
        return wait


Query = dict[str, str]


class Sender:
    """What the API does, a method for each call: from the query and the body to `data`."""

    def __init__(self, store: Store, backoff_base: float) -> None:
        self._store = store
        self._backoff_base = backoff_base
        self._lock = threading.Lock()
        self._lanes: dict[str, Lane] = {}
        for (settings,) in store.do("SELECT settings FROM webhook ORDER BY rowid"):
            self._open(Webhook(**json.loads(settings)))
        # Each at its time: a sender that starts often would use the retries up.
        waiting = "SELECT webhook, id, due FROM delivery WHERE body IS NOT NULL ORDER BY id"
        for ident, delivery, due in store.do(waiting):
            self._lanes[ident].put(delivery, min(LONGEST, max(0.0, due - time())))

    def create(self, query: Query, body: Any) -> Any:
        """A new one, or the one of this URL said anew: but its secret is not lost if left out."""
        given = named(body)
        with self._lock:
            known = self._by_url(given.get("url"))
            secret = {"secret": known.secret} if known else {}
            ident = {"id": known.id if known else f"wh_{secrets.token_hex(6)}"}
            return self._put(webhook(DEFAULTS | secret | given | ident))

    def update(self, query: Query, body: Any) -> Any:
        given = named(body)
        with self._lock:
            ident = given.get("id", query.get("id"))
            known = self._by_url(given.get("url")) if ident is None else self._by_id(ident)
            if known is None:
                raise Refused("url must be one that List shows, or id be given", 404)
            hook = webhook(asdict(known) | given | {"id": known.id})
            if self._by_url(hook.url) not in (known, None):
                raise Refused("url is another webhook's", 409)
            return self._put(hook)

    def delete(self, query: Query, body: Any) -> Any:
        with self._lock:
            hook = self._by_id(query.get("id"))
            self._store.do("DELETE FROM webhook WHERE id = ?", hook.id)
            self._lanes.pop(hook.id).change(hook, closed=True)
        return {"id": hook.id}

    def list(self, query: Query, body: Any) -> Any:
        with self._lock:
            return [lane.hook.shown() for lane in self._lanes.values()]

    def test(self, query: Query, body: Any) -> Any:
        """Test the one of this id, or else all that are enabled, side by side."""
        with self._lock:
            enabled = [lane.hook for lane in self._lanes.values() if lane.hook.enabled]
            hooks = [self._by_id(query["id"])] if "id" in query else enabled
        if not hooks:
            raise Refused(f"no webhook is enabled: POST one to {BASE}/Config", 404)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = [*pool.map(send_test, hooks)]
        return results[0] if len(results) == 1 else results

    def emit(self, query: Query, body: Any) -> Any:
        """Keep a message, or a list of them, for every webhook that wants it."""
        events = body if isinstance(body, list) else [body]
        for at, event in enumerate(events):
            check_event(event, f"[{at}]." if isinstance(body, list) else "")
        try:
            bodies = [encode(event) for event in events]
        except (ValueError, RecursionError):  # 1e400 is infinite to Python, and no JSON
            raise Refused("content holds too large a number, or is nested too deeply") from None
        with self._lock:
            copies = [
                (
                    lane.hook.id,
                    json.dumps(event["msgId"]),
                    body,
                )  # escaped, as SQLite takes no surrogate
                for event, body in zip(events, bodies, strict=True)
                for lane in self._lanes.values()
                if lane.hook.wants(event)
            ]
            for ident, delivery in self._store.add(copies):
                self._lanes[ident].put(delivery)
        return {"accepted": len(events)}

    def _open(self, hook: Webhook) -> None:
        self._lanes[hook.id] = Lane(hook, self._store, self._backoff_base)

    def _put(self, hook: Webhook) -> dict[str, Any]:
        keep = "INSERT INTO webhook VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET settings = excluded.settings"
        self._store.do(keep, hook.id, json.dumps(asdict(hook)))
        if hook.id in self._lanes:
            self._lanes[hook.id].change(hook)
        else:
            self._open(hook)
        return hook.shown()

    def _by_url(self, url: Any) -> Webhook | None:
        return next((lane.hook for lane in self._lanes.values() if lane.hook.url == url), None)

    def _by_id(self, ident: Any) -> Webhook:
        if not isinstance(ident, str) or ident not in self._lanes:
            raise Refused("id must be one that List shows", 400 if ident is None else 404)
        return self._lanes[ident].hook


class Server(ThreadingHTTPServer):
    request_queue_size = 512  # the default of 5 makes a burst wait for TCP to try again

    def __init__(self, port: int, sender: Sender) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.calls: dict[str, Callable[[Query, Any], Any]] = {
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
    timeout = 75  # seconds of silence until a connection is given up
    disable_nagle_algorithm = True  # head and body are two writes: do not wait between them

    def handle(self) -> None:
        with suppress(ConnectionError):  # hanging up is the peer's right, not our fault
            super().handle()

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        try:
            data = self._call(path, {name: values[-1] for name, values in parse_qs(query).items()})
            self._send(202 if path.endswith("/Emit") else 200, "success", data)
        except Refused as refusal:
            self._send(refusal.status, str(refusal))
        except sqlite3.Error:
            self._send(503, "it could not be stored: send it again")

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = answer

    def _call(self, path: str, query: Query) -> Any:
        body = self._body()  # whatever the answer: the next request starts behind it
        base, _, name = path.rpartition("/")
        call = self.server.calls.get(f"{self.command} {name}") if base == BASE else None
        if call is None:
            raise Refused(f"the API under {BASE} is: {', '.join(self.server.calls)}", 404)
        if self.command not in ("POST", "PUT"):
            return call(query, None)
        try:
            # Decoded strictly first: json.loads on bytes guesses UTF-16, lets surrogates pass.
            given = json.loads(body.decode("utf-8"), parse_constant=_not_json)
        except (ValueError, RecursionError):
            raise Refused("the body must be JSON in UTF-8, and not nested too deeply") from None
        return call(query, given)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        chunked = "Transfer-Encoding" in self.headers
        if chunked or not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY:
            self.close_connection = True  # where the next request would start is unknown
            raise Refused(f"Content-Length must say at most {MAX_BODY}", 411 if chunked else 413)
        return self.rfile.read(int(length))

    def _send(self, status: int, message: str, data: Any = None) -> None:
        code = 0 if status < 400 else status
        body = json.dumps({"code": code, "message": message, "data": data}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """No line for each request."""


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--backoff-base", type=float, default=1.0, help="seconds of the first wait")
    parser.add_argument("--db", default=":memory:", help="a file, for what must outlive a kill")
    given = parser.parse_args()
    try:
        store = Store(given.db)
    except sqlite3.Error as fault:
        sys.exit(f"--db {given.db}: {fault}")

    server = Server(given.port, Sender(store, given.backoff_base))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}{BASE}", flush=True)
    # Until standard input closes: never outlive the parent. SIGTERM keeps its default action, as
    # a handler in Python may have to wait until this read returns.
    with suppress(KeyboardInterrupt):
        while os.read(0, 4096):
            pass
    os._exit(0)  # the pools' threads would be waited for, and what counts is committed


if __name__ == "__main__":
    main()
