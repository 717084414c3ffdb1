"""A correct receiver on the standard library alone: `HOOKPROOF_SECRET=… python stdlib_receiver.py`.

Answers a repeat like a first message. Stops on SIGTERM and when standard input closes.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import re
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from email.errors import MissingHeaderBodySeparatorDefect
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn
from urllib.parse import parse_qs

MAX_BODY = 16 * 1024 * 1024  # Base64 media is large (訊息類型說明)
WINDOW = 20_000  # ids to remember: a repeat can come long after the first (常見問題 5)
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class BrokenBody(Exception):
    """The body was cut off, or its framing is wrong (RFC 9112, section 6)."""


class Server(ThreadingHTTPServer):
    request_queue_size = 512  # with the default of 5 a burst waits for TCP retransmissions

    def __init__(self, port: int, secret: bytes) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._secret = secret
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._effects: Counter[str] = Counter()

    def deliver(self, timestamp: str, signature: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Decide about one delivery; return the status and the answer."""
        if not (timestamp.isascii() and timestamp.isdigit()):
            return 401, {"error": "bad signature"}
        # Over the bytes as received (驗證簽名), and compared as bytes: compare_digest raises
        # on a str that is not ASCII. http.server decodes headers as Latin-1.
        expected = hmac.new(self._secret, timestamp.encode() + b":" + body, hashlib.sha256)
        if not hmac.compare_digest(expected.hexdigest().encode(), signature.encode("latin-1")):
            return 401, {"error": "bad signature"}
        try:
            # Decode strictly first: json.loads on bytes accepts UTF-16 and surrogates.
            message = json.loads(body.decode("utf-8"), parse_constant=_not_json)
        except (ValueError, RecursionError):
            return 400, {"error": "not JSON"}
        msg_id = message.get("msgId") if isinstance(message, dict) else None
        if not isinstance(msg_id, str) or not msg_id:
            return 400, {"error": "not an object with a msgId"}
        self._take(msg_id)
        return 200, {"ok": True}  # for a repeat too, or the sender keeps sending it

    def _take(self, msg_id: str) -> None:
        """Let the message take effect once. In production: store it durably, work after the answer."""
        with self._lock:  # two concurrent copies must not both find the id unknown
            if msg_id not in self._seen:
                self._effects[msg_id] += 1
                self._seen[msg_id] = None  # after the effect: if that fails, a retry is processed
                if len(self._seen) > WINDOW:
                    self._seen.popitem(last=False)  # the oldest, never an arbitrary one

    def count(self, msg_id: str) -> int:
        with self._lock:
            return self._effects[msg_id]


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"  # makes the base class answer Expect: 100-continue
    timeout = 75  # seconds of silence before a connection is closed
    disable_nagle_algorithm = True  # head and body are two writes: do not delay the second

    def handle(self) -> None:
        with suppress(ConnectionError):  # the peer may hang up: that is no error here
            super().handle()

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        try:
            body = self._body()  # read it in any case: the next request starts after it
        except BrokenBody:
            self.close_connection = True  # where the next request would start is unknown
            self._send(400, {"error": "broken body"})
            return
        if path not in ("/webhook/receiver", "/processed"):
            self._send(404, {"error": "not found"})
        elif self.command != (allowed := "GET" if path == "/processed" else "POST"):
            self._send(405, {"error": f"use {allowed}"}, allow=allowed)
        elif path == "/processed":
            self._send(200, {"count": self.server.count(parse_qs(query).get("msgId", [""])[0])})
        elif body is None:
            self._send(413, {"error": "too large"})
        else:
            timestamp = self._header("X-Webhook-Timestamp")
            signature = self._header("X-Webhook-Signature")
            self._send(*self.server.deliver(timestamp, signature, body))

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = answer

    def _header(self, name: str) -> str:
        values = self.headers.get_all(name, [])
        if len(values) != 1:  # with two headers, which one counts?
            return ""
        return values[0].strip(" \t")  # spaces around a value are not part of it (RFC 9110, 5.5)

    def _body(self) -> bytes | None:
        """The whole body, or None if it is too large. It is read to its end in either case."""
        pieces: list[bytes] = []
        size = 0
        for piece in self._pieces():
            size += len(piece)
            if size <= MAX_BODY:
                pieces.append(piece)
        return b"".join(pieces) if size <= MAX_BODY else None

    def _pieces(self) -> Iterator[bytes]:
        if any(isinstance(d, MissingHeaderBodySeparatorDefect) for d in self.headers.defects):
            raise BrokenBody  # a malformed line hides the headers below it
        coding = self.headers.get_all("Transfer-Encoding", [])
        lengths = self.headers.get_all("Content-Length", ["0"] if not coding else [])
        if not coding and len(lengths) == 1 and re.fullmatch("[0-9]{1,15}[ \t]*", lengths[0]):
            yield from self._exactly(int(lengths[0]))
        elif not lengths and [value.strip(" \t").lower() for value in coding] == ["chunked"]:
            while size := self._chunk_size():
                yield from self._exactly(size)
                if self.rfile.read(2) != b"\r\n":
                    raise BrokenBody
            while (line := self.rfile.readline(8192)) != b"\r\n":  # trailers, ignored
                if not line.endswith(b"\n"):
                    raise BrokenBody
        else:  # both, several or unknown ones: request smuggling
            raise BrokenBody

    def _chunk_size(self) -> int:
        line = CHUNK_LINE.fullmatch(self.rfile.readline(8192))
        if not line:
            raise BrokenBody
        return int(line[1], 16)

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, 65536))
            if not piece:  # the sender hung up: half a message is not a message
                raise BrokenBody
            size -= len(piece)
            yield piece

    def _send(self, status: int, answer: dict[str, Any], allow: str = "") -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if allow:
            self.send_header("Allow", allow)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log every request."""


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    port = parser.parse_args().port
    secret = os.environ.get("HOOKPROOF_SECRET", "").encode()
    if not secret:
        sys.exit("HOOKPROOF_SECRET is not set: with an empty secret anyone can sign")

    server = Server(port, secret)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}/webhook/receiver", flush=True)
    # Serve until standard input closes, so as never to outlive the parent. SIGTERM keeps its default
    # action: a Python handler might have to wait until this read returns.
    with suppress(KeyboardInterrupt):
        while os.read(0, 4096):
            pass


if __name__ == "__main__":
    main()
