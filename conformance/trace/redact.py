"""Contents and names taken out of a trace, their sizes kept, so that it can be shown to others.

What is known to be harmless stays (ids, types, times, statuses, names of fields and headers);
everything else that a message or an answer says is overwritten, byte for byte, whether or not it is
known to be personal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.model.exchange import Answer, Exchange, Headers, Masked, Request, Signing
from conformance.model.result import Result
from conformance.model.text import Text
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
"""A text under a kept name that is an id or a number, and no sentence."""
_LETTERS = re.compile(rb"[A-Za-z0-9\x80-\xff]")
_QUERY = re.compile(r"([?&])([^=&#]*)=([^&#]*)")
_QUOTED = re.compile(r"['\"].*", re.DOTALL)
_EXAMPLE = re.compile(r"[:：'\"].*", re.DOTALL)


def signed_by(run: Mapping[str, Any] | None) -> frozenset[bytes]:
    """The headers, in lower case, in which a run's dialect carries its signature and its time; of a
    capture, which names no dialect, those of every dialect that is built in."""
    if run is None:
        known = [load(name) for name in dialect_names()]
        names = [each for one in known for each in (one.timestamp_header, one.signature_header)]
    else:
        asked = run["facts"]["asked"]
        names = [asked[n] for n in ("timestamp_header", "signature_header") if n in asked]
    return frozenset(name.lower().encode() for name in names)


def redacted(each: Exchange, signed_by: frozenset[bytes]) -> Exchange:
    """`each` without contents and names. `signed_by` are the dialect's headers, in lower case."""
    request = Request(
        each.request.method,
        url(each.request.url),
        _headers(each.request.headers, signed_by),
        body(each.request.body),
        each.request.transport,
    )
    answer = each.answer
    if answer is not None:
        answer = Answer(
            answer.status, _headers(answer.headers, signed_by), body(answer.body), answer.cut
        )
    signing = each.signing and _signing(each.signing)
    if (request, answer) == (each.request, each.answer):
        return each
    masked = each.masked | {Masked.CONTENT}
    return replace(each, request=request, answer=answer, signing=signing, masked=masked)


def redacted_result(each: Result) -> Result:
    """`each` without what it quotes, and without what follows that: where a quotation ends cannot be
    told once it has been cut. What fuzzing found, it shows without quotes too."""
    pattern = _EXAMPLE if ".fuzz." in each.rule.id else _QUOTED
    said = Text(*(pattern.sub("…", text) for text in (each.message.en, each.message.zh)))
    return replace(each, message=said, reproduce=None)


def redacted_run(run: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a trace says of its run, without what the answers held."""
    if run is None:
        return None
    profile = dict(run["facts"])
    if "learned" in profile:  # read off the bodies of answers
        profile |= {"url": url(profile["url"]), "learned": None}
    return {**run, "target": url(run["target"]), "facts": profile, "redacted": True}


def url(given: str) -> str:
    """The values of its query overwritten, but for a msgId."""
    return _QUERY.sub(
        lambda found: (
            found[0] if found[2] == "msgId" else f"{found[1]}{found[2]}={'x' * len(found[3])}"
        ),
        given,
    )


def body(given: bytes) -> bytes:
    """Every value but those of KEPT_FIELDS overwritten; as many bytes, and JSON where it was JSON."""
    try:
        json.loads(given.decode())
    except (ValueError, RecursionError):
        return _LETTERS.sub(b"x", given)
    kept, depth, out = False, 0, []
    for token in _TOKEN.finditer(given):
        piece = token[0]
        match token.lastgroup:
            case "key":
                kept = depth == 1 and piece.rpartition(b'"')[0][1:] in KEPT_FIELDS
            case "open":
                depth, kept = depth + 1, False
            case "close":
                depth -= 1
            case "string" if not (kept and _PLAIN.fullmatch(piece)):
                piece = b'"' + b"x" * (len(piece) - 2) + b'"'
            case "number" if not kept:
                piece = re.sub(rb"\d", b"1", piece)
        out.append(piece)
    return b"".join(out)


def _headers(headers: Headers, signed_by: frozenset[bytes]) -> Headers:
    return tuple(
        (name, value if name.lower() in KEPT_HEADERS | signed_by else b"x" * len(value))
        for name, value in headers
    )


def _signing(signing: Signing) -> Signing:
    return replace(signing, body=body(signing.body))
