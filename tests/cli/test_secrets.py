"""A receiver that sends its secret back: what a run writes and prints holds it in no spelling."""

import base64
import hashlib
import hmac
import html
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pandas as pd
import pytest
from click.testing import CliRunner

from conformance.cli.main import main

TOKEN = "t0ken-of-the-gateway"


def spellings(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        secret.upper(),
        secret[::-1],
        raw.hex(),
        base64.b64encode(raw).decode(),
        base64.b64encode(b"user:" + raw).decode(),
        base64.b32encode(raw).decode(),
        quote(secret, safe=""),
        "".join(f"%{byte:02X}" for byte in raw),
        "".join(f"&#{ord(char)};" for char in secret),
        "".join(f"\\u{ord(char):04x}" for char in secret),
    ]


@contextmanager
def echoing(secret: str):
    """The URL of a receiver that verifies, and puts its secret and the caller's token into every answer."""
    shown = [*spellings(secret), *spellings(TOKEN)]

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            signed = self.headers["X-Webhook-Timestamp"].encode() + b":" + body
            right = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
            self.send_response(200 if right == self.headers["X-Webhook-Signature"] else 401)
            for number, spelling in enumerate(shown):
                self.send_header(f"X-{number}", f"'{spelling}'")
            for name in filter(re.compile(r"[\w%-]+").fullmatch, shown):
                self.send_header(f"X-{name}", "a name")
            answer = "\n".join(shown).encode()
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()


def holding(text: str, secrets: tuple[str, ...]) -> set[str]:
    """The spellings that a text holds, as they are and as JSON or HTML writes them."""
    text = text.lower()
    return {
        spelling
        for secret in secrets
        for spelling in spellings(secret)
        for written in (spelling, json.dumps(spelling)[1:-1], html.escape(spelling))
        if written.lower() in text
    }


@pytest.mark.parametrize(
    ("secret", "outcome"),
    [
        pytest.param("Qx7/lighthouse 9", "warn", id="one that stands nowhere by chance"),
        pytest.param("swordfish", "warn", id="a word, whose encodings are none"),
        pytest.param("zq9", "skip", id="one too short to tell"),
    ],
)
def test_what_a_run_writes_and_prints_holds_no_secret(secret, outcome, tmp_path):
    names = ("report.json", "report.html", "junit.xml", "run.db")
    json_file, html_file, junit, trace = (str(tmp_path / name) for name in names)
    rules = (
        "receiver.http.reveals-nothing",
        "receiver.signature.wrong-secret",
        "receiver.accepts.documented-type",
    )
    with echoing(secret) as url:
        printed = run(
            *("check", "receiver", url, "--secret", secret, "--header", f"X-Token: {TOKEN}"),
            *(word for rule in rules for word in ("--rules", rule)),
            *("--json", json_file, "--html", html_file, "--junit", junit, "--trace", trace),
        )
    for kind in ("jsonl", "har", "parquet"):
        printed += run("trace", trace, "--export", kind, str(tmp_path / f"export.{kind}"))
    run("trace", trace, "--redact", "--export", "jsonl", str(tmp_path / "redacted.jsonl"))
    printed += run("trace", trace, "--show", "1")
    (tmp_path / "printed").write_text(printed)
    frame = pd.read_parquet(tmp_path / "export.parquet")
    (tmp_path / "export.parquet").write_text(str(frame.to_dict()))
    # By chance, a short secret stands in figures and signatures, which are the suite's own.
    secrets = (secret, TOKEN) if len(secret) >= 8 else (TOKEN,)
    assert {
        path.name: holding(path.read_bytes().decode("utf-8", "replace"), secrets)
        for path in tmp_path.iterdir()
    } == {path.name: set() for path in tmp_path.iterdir()}
    results = {
        each["rule"]: each for each in json.loads((tmp_path / "report.json").read_text())["results"]
    }
    assert results["receiver.http.reveals-nothing"]["outcome"] == outcome
    assert results["receiver.accepts.documented-type"]["outcome"] == "pass"


def run(*arguments: str) -> str:
    return CliRunner().invoke(main, arguments).output
