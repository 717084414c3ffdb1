"""A shell line that reproduces a request with curl, freshly signed.

The secret stays in $HOOKPROOF_SECRET. The time and the message id are new each time the line runs.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from shlex import quote

from conformance.model.escaping import visible
from conformance.model.exchange import Exchange, Headers, Signing, Transport
from conformance.protocol.dialect import BODY, TIMESTAMP, Dialect

LONGEST = 2000
"""How many bytes of a body are written out as text. A longer or binary body is written as gzip."""

_OPTIONS = {
    Transport.POOLED: "",
    Transport.RAW: "",
    Transport.KEEP_ALIVE: "",
    Transport.CHUNKED: "-H 'Transfer-Encoding: chunked'",
    Transport.EXPECT: "-H 'Expect: 100-continue'",
}


def curl(exchange: Exchange, dialect: Dialect, secret_headers: Headers = ()) -> str | None:
    """The line for `exchange`, or None if curl cannot send it (a connection that breaks off).

    The values of `secret_headers` come from the environment: that of `X-Api-Key` from $X_API_KEY.
    """
    request, signing = exchange.request, exchange.signing
    if signing is None or request.transport not in _OPTIONS:
        return None
    milliseconds = "000" if dialect.timestamp_unit == "milliseconds" else ""
    msg_id = (exchange.msg_id or "").encode()
    lines = [f"TS=$(date +%s){milliseconds}"]
    if msg_id and (msg_id in signing.body or msg_id in request.body):
        # Decimal and below 2^63, as the suite's own ids.
        lines.append("ID=$(date +%s)$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')")
    lines.append(f"body() {{ {_print_command(signing.body, msg_id)}; }}")
    function = "body"
    if signing.prefix:
        lines.append(f'sent() {{ printf %s "{signing.prefix}"; body; }}')
        function = "sent"
    elif request.body != signing.body:
        lines.append(f"sent() {{ {_print_command(request.body, msg_id)}; }}")
        function = "sent"
    lines.append(f"SIG=$({_sign_command(dialect, signing)})")
    words = ["curl -gsS -i", f"-X {request.method}", _OPTIONS[request.transport]]
    words += _headers(exchange, dialect, signing, secret_headers)
    if request.body:
        words.append("-H 'Expect:'" if request.transport is not Transport.EXPECT else "")
        words.append("--data-binary @-")
    words.append(quote(request.url))
    command = " ".join(word for word in words if word)
    lines.append(f"{function} | {command}" if request.body else command)
    return "; ".join(lines)


def _print_command(body: bytes, msg_id: bytes) -> str:
    """Shell commands that print `body`, with $ID for its message id."""
    if not body:
        return "printf ''"
    pieces = body.split(msg_id) if msg_id and msg_id in body else [body]
    if all(len(piece) <= LONGEST and _is_text(piece) for piece in pieces):
        return "printf %s " + '"$ID"'.join(
            quote(piece.decode()) if piece else "" for piece in pieces
        )
    return """; printf %s "$ID"; """.join(_unpack_command(piece) for piece in pieces if piece)


def _is_text(piece: bytes) -> bool:
    """Whether `piece` can be pasted as it is: UTF-8 without characters that a terminal would swallow."""
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return False
    return visible(text) == text


def _unpack_command(piece: bytes) -> str:
    # mtime 0, so that the same bytes give the same line.
    packed = base64.b64encode(gzip.compress(piece, mtime=0)).decode()
    return f"printf %s {packed} | base64 -d | gunzip"


def _sign_command(dialect: Dialect, signing: Signing) -> str:
    """Shell commands that print the right signature."""
    words = {TIMESTAMP: f'printf %s "{signing.signed_stamp}"', BODY: "body"}
    parts = "; ".join(words.get(part, f"printf %s {quote(part)}") for part in dialect.parts)
    key = quote(signing.secret) if signing.secret is not None else '"$HOOKPROOF_SECRET"'
    digest = f"{{ {parts}; }} | openssl dgst -sha256 -hmac {key}"
    return (
        f"{digest} -binary | base64"
        if dialect.encoding == "base64"
        else f"{digest} | sed 's/^.* //'"
    )


def _headers(
    exchange: Exchange, dialect: Dialect, signing: Signing, secret_headers: Headers
) -> Iterator[str]:
    stamp = dialect.timestamp_header.encode().lower()
    signature = dialect.signature_header.encode().lower()
    signatures = iter(signing.signatures)
    names = {name.lower() for name, _ in exchange.request.headers}
    for name, value in exchange.request.headers:
        text = name.decode()
        if name.lower() == stamp:
            yield _header(text, signing.stamp or "")
        elif name.lower() == signature:
            yield _header(text, next(signatures))
        elif name.lower() != b"user-agent":
            yield f"-H {quote(f'{text}: {value.decode()}')}"
    if b"content-type" not in names and exchange.request.body:
        yield "-H 'Content-Type:'"
    for name, _ in secret_headers:
        variable = name.decode().upper().replace("-", "_")
        yield f'-H "{name.decode()}: ${{{variable}}}"'


def _header(name: str, words: str) -> str:
    # curl sends an empty header only when it is written with a semicolon.
    return f'-H "{name}: {words}"' if words else f"-H '{name};'"
