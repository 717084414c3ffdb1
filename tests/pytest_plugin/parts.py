"""Inner runs of pytest, and a faulty receiver for them. A plugin, so that all tests have its fixtures."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

SECRET = "a-secret-that-nobody-prints"

RULE = """\
  - rule: receiver.house.{name}
    level: MUST
    source: null
    title: {{en: A message is {status}, zh-Hant: 訊息的結果}}
    why: {{en: Our house wants it., zh-Hant: 本院的要求。}}
    fix: {{en: Do as the house says., zh-Hant: 照做。}}
    steps:
      - send: {{message: text}}
        expect: {{status: {status}}}
"""


class Faulty(BaseHTTPRequestHandler):
    """Fails on msgType 43 (MUST), refuses 9999 (SHOULD), accepts any timestamp (MAY)."""

    protocol_version = "HTTP/1.1"
    effects: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = (self.headers.get("X-Webhook-Timestamp") or "").encode("latin-1") + b":" + body
        expected = hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()
        if (self.headers.get("X-Webhook-Signature") or "") != expected:
            self._answer(401, {})
            return
        message = json.loads(body)
        status = {43: 500, 9999: 400}.get(message.get("msgType"), 200)
        if status == 200:
            self.effects[message["msgId"]] |= 1
        self._answer(status, {})

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self._answer(200 if query else 405, {"count": self.effects[query.get("msgId", [""])[0]]})

    def _answer(self, status: int, answer: object) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


PLUGINS = ("django", "hypothesispytest", "randomly", "timeout")
LIGHT = tuple(word for name in PLUGINS for word in ("-p", f"no:{name}"))
"""Turns off the installed plugins that an inner run does not need, since they slow or shuffle it."""


class Run:
    """An inner pytest in this process, with a few rules so that it is quick."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester

    def __call__(self, *args: str, rules: str | None = None) -> pytest.RunResult:
        selection = [f"--rules={rules}"] if rules else []
        return self._pytester.runpytest_inprocess(*LIGHT, *selection, *args)

    def against(self, base: str, *args: str, rules: str | None = None) -> pytest.RunResult:
        return self("--pyargs", "conformance", *at(base), *args, rules=rules)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    return Run(pytester)


def at(base: str) -> list[str]:
    return [f"--endpoint={base}/webhook/receiver", f"--secret={SECRET}"]


def outcomes(shown: pytest.LineMatcher) -> dict[str, int]:
    return pytest.RunResult.parse_summary_nouns(shown.lines)
