"""Redacts the contents and names in a trace but keeps their sizes, so that others may see it.

Only what is known to be harmless stays: ids, types, times, statuses, names of fields and headers.
Everything else in a message or an answer is overwritten byte for byte, personal or not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.model.exchange import Exchange, Headers, Masked
from conformance.model.result import Result
from conformance.model.sentence import Sentence
from conformance.scenario.dialects import load
from conformance.scenario.dialects import names as dialect_names

KEPT_FIELDS = frozenset(
    {b"msgId", b"msgType", b"timestamp", b"createTime", b"isSelfMsg", b"isHistory"}
    | {b"status", b"code", b"success", b"count", b"duplicate"}
)
KEPT_HEADERS = frozenset(
    b"accept accept-encoding allow connection content-encoding content-length content-type date "
    b"expect host keep-alive retry-after server transfer-encoding user-agent".split()
)

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(
    rb"(?P<key>" + _STRING + rb"\s*:)|(?P<string>" + _STRING + rb")|(?P<open>[{\[])"
    rb"|(?P<close>[}\]])|(?P<number>-?\d[\d.eE+-]*)|(?P<other>[^\"{}\[\]\d-]+|.)",
    re.DOTALL,
)
_PLAIN = re.compile(rb'"[\w-]{0,64}"', re.ASCII)
"""A string under a kept name that is an id or a number, not a sentence."""
_LETTERS = re.compile(rb"[A-Za-z0-9\x80-\xff]")
_QUERY = re.compile(r"([?&])([^=&#]*)=([^&#]*)")


def signature_headers(run: Mapping[str, Any] | None) -> frozenset[bytes]:
    """The headers, in lower case, in which a run's dialect carries its signature and its timestamp.
    A capture names no dialect, so for it these are the headers of every built-in dialect."""
    if run is None:
        dialects = [load(name) for name in dialect_names()]
        pairs = [(dialect.timestamp_header, dialect.signature_header) for dialect in dialects]
        names = [name for pair in pairs for name in pair]
    else:
        options = run["profile"]["requested"]
        names = [options[n] for n in ("timestamp_header", "signature_header") if n in options]
    return frozenset(name.lower().encode() for name in names)


def redact_exchange(exchange: Exchange, signed_by: frozenset[bytes]) -> Exchange:
    """`exchange` without contents and names. `signed_by` are the dialect's headers, in lower case."""
    request, answer, signing = exchange.request, exchange.answer, exchange.signing
    headers = _headers(request.headers, signed_by)
    body = redact_body(request.body)
    request = replace(request, url=redact_url(request.url), headers=headers, body=body)
    if answer is not None:
        headers = _headers(answer.headers, signed_by)
        answer = replace(answer, headers=headers, body=redact_body(answer.body))
    signing = signing and replace(signing, body=redact_body(signing.body))
    raw = exchange.raw and redact_body(exchange.raw)
    redacted = replace(exchange, request=request, answer=answer, signing=signing, raw=raw)
    if redacted == exchange:
        return exchange
    return replace(redacted, masked=exchange.masked | {Masked.CONTENT})


def redact_result(result: Result) -> Result:
    """`result` with "…" in place of every text in its message, since any may be a quotation. What the
    suite says itself stays, and so do numbers."""
    return replace(result, message=result.message.with_text(lambda _: "…"), reproduce=None)


def redact_run(run: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The metadata of a run, without the content of answers."""
    if run is None:
        return None
    profile = dict(run["profile"])
    if "inferred" in profile:  # inferred from the bodies of answers
        profile |= {"url": redact_url(profile["url"]), "inferred": None}
    cause = Sentence.from_data(run["cause"]).with_text(lambda _: "…").as_data()
    return {
        **run,
        "cause": cause,
        "target": redact_url(run["target"]),
        "profile": profile,
        "redacted": True,
    }


def redact_url(url: str) -> str:
    """`url` with the values of its query overwritten, except a msgId."""
    return _QUERY.sub(
        lambda match: (
            match[0] if match[2] == "msgId" else f"{match[1]}{match[2]}={'x' * len(match[3])}"
        ),
        url,
    )


def redact_body(body: bytes) -> bytes:
    """`body` with every value overwritten except those of KEPT_FIELDS. It keeps its length, and JSON
    stays JSON."""
    try:
        json.loads(body.decode())
    except (ValueError, RecursionError):
        return _LETTERS.sub(b"x", body)
    keep, depth, out = False, 0, []
    for token in _TOKEN.finditer(body):
        piece = token[0]
        match token.lastgroup:
            case "key":
                keep = depth == 1 and piece.rpartition(b'"')[0][1:] in KEPT_FIELDS
            case "open":
                depth, keep = depth + 1, False
            case "close":
                depth -= 1
            case "string" if not (keep and _PLAIN.fullmatch(piece)):
                piece = b'"' + b"x" * (len(piece) - 2) + b'"'
            case "number" if not keep:
                piece = re.sub(rb"\d", b"1", piece)
        out.append(piece)
    return b"".join(out)


def _headers(headers: Headers, signed_by: frozenset[bytes]) -> Headers:
    return tuple(
        (name, value if name.lower() in KEPT_HEADERS | signed_by else b"x" * len(value))
        for name, value in headers
    )
