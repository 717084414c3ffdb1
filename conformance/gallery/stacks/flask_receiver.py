"""A correct receiver on Flask: `HOOKPROOF_SECRET=… python flask_receiver.py --port 5000`.

Answers a repeat with `"duplicate": true`. Stops on SIGTERM and when standard input closes.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import logging
import os
import sys
import threading
from collections import Counter, OrderedDict
from contextlib import suppress
from typing import Any, NoReturn

from flask import Flask, request
from werkzeug.serving import make_server

MAX_BODY = 16 * 1024 * 1024  # Base64 media is large (訊息類型說明)
WINDOW = 20_000  # ids to remember: a repeat can come long after the first (常見問題 5)


class Inbox:
    """Makes each message take effect once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._effects: Counter[str] = Counter()

    def take(self, message: dict[str, Any]) -> bool:
        """Let the message take effect. Returns False if it already did.

        The effect here is a count. In production, store the message durably at this point and
        do slow work after the answer. If the effect raises, the id stays unknown, so the sender's
        next attempt is processed.
        """
        msg_id: str = message["msgId"]
        with self._lock:  # two concurrent copies must not both find the id unknown
            if msg_id in self._seen:
                return False
            self._effects[msg_id] += 1
            self._seen[msg_id] = None
            if len(self._seen) > WINDOW:
                self._seen.popitem(last=False)  # the oldest, never an arbitrary one
            return True

    def count(self, msg_id: str) -> int:
        with self._lock:
            return self._effects[msg_id]


def is_signed(secret: bytes, timestamp: str, signature: str, body: bytes) -> bool:
    """Check the signature over the bytes as received (驗證簽名): re-encoded JSON differs."""
    if not (timestamp.isascii() and timestamp.isdigit()):
        return False
    expected = hmac.new(secret, timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    # As bytes: compare_digest raises on a str that is not ASCII. WSGI headers are Latin-1.
    return hmac.compare_digest(expected.encode(), signature.encode("latin-1"))


def read_message(body: bytes) -> dict[str, Any]:
    """Return the body as an object with a usable msgId, or raise ValueError."""
    try:
        # Decode strictly first: json.loads on bytes accepts UTF-16 and surrogates.
        message = json.loads(body.decode("utf-8"), parse_constant=_not_json)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("not an object")
    msg_id = message.get("msgId")
    if not isinstance(msg_id, str) or not msg_id:
        raise ValueError("no msgId")
    return message


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def create_app(secret: bytes) -> Flask:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    inbox = Inbox()

    @app.post("/webhook/receiver")
    def receive() -> tuple[dict[str, Any], int]:
        body = request.get_data()  # raises 400 when the sender hangs up in mid-body
        timestamp = request.headers.get("X-Webhook-Timestamp", "")
        signature = request.headers.get("X-Webhook-Signature", "")
        if not is_signed(secret, timestamp, signature, body):
            return {"error": "bad signature"}, 401
        try:
            message = read_message(body)
        except ValueError:
            return {"error": "not a message"}, 400
        return {"ok": True, "duplicate": not inbox.take(message)}, 200

    @app.get("/processed")
    def processed() -> dict[str, int]:
        return {"count": inbox.count(request.args.get("msgId", ""))}

    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    port = parser.parse_args().port
    secret = os.environ.get("HOOKPROOF_SECRET", "").encode()
    if not secret:
        sys.exit("HOOKPROOF_SECRET is not set: with an empty secret anyone can sign")

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # do not log every request
    server = make_server("127.0.0.1", port, create_app(secret), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}/webhook/receiver", flush=True)
    # Serve until standard input closes, so as never to outlive the parent. SIGTERM keeps its default
    # action: a Python handler might have to wait until this read returns.
    with suppress(KeyboardInterrupt):
        while os.read(0, 4096):
            pass


if __name__ == "__main__":
    main()
