"""From a step's words to the exact bytes of a request. Pure: ids and times come in as arguments."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.engine.exchanges import USER_AGENT
from conformance.model.errors import HarnessError
from conformance.model.exchange import Request, Signing
from conformance.protocol.dialect import Dialect
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.message import build
from conformance.protocol.mutations import MUTATIONS
from conformance.protocol.tampering import TAMPERINGS, Signed, Tampering, quoted
from conformance.scenario.receiver import Send

_NOW = re.compile(r"\{now([+-]\d+)?\}")


@dataclass(frozen=True, slots=True)
class ComposedRequest:
    """A request as it is sent, and what later steps need to send it, or parts of it, again."""

    msg_id: str
    fields: dict[str, Any]
    request: Request
    signed: Signed
    form: str = "compact"
    body: str | None = None

    @property
    def signing(self) -> Signing:
        """What its signature was made of."""
        return self.signed.signing


def compose(
    send: Send,
    msg_id: str,
    now: float,
    url: str,
    profile: ReceiverProfile,
    named: Mapping[str, ComposedRequest],
) -> ComposedRequest:
    """The request that `send` describes. `msg_id` is a fresh id, `now` seconds since the epoch,
    `named` holds what earlier steps sent under a name (for a list of them, the one that is meant)."""
    earlier = named.get(send.repeat_of or send.id_of or "")
    if send.exact and earlier is not None:
        return earlier
    dialect = profile.scheme.signer.dialect
    fields = _fields(send, msg_id, now, profile, earlier)
    form = (
        earlier.form if send.repeat_of and earlier and send.encoding == "compact" else send.encoding
    )
    literal = earlier.body if send.repeat_of and earlier else send.body
    body = _body(send, fields, profile.form if form == "compact" else form, literal)
    stamp = dialect.timestamp(now)
    if send.timestamp is not None:
        stamp = _NOW.sub(lambda found: _time(dialect, now, found), send.timestamp).encode()
    # Blanks around a header's value are no part of it (RFC 9110, 5.5).
    signed = profile.scheme.signer.sign(stamp.strip(), body)
    words = _shell_stamp(send)
    signing = replace(signed.signing, stamp=words, signed_stamp=words.strip())
    signed = replace(signed, timestamp=stamp, signing=signing)
    if send.tampering is not None:
        damaged = TAMPERINGS[send.tampering](signed, profile.scheme.signer)
        if (damaged.timestamp, damaged.signatures, damaged.body) == (
            (signed.timestamp, signed.signatures, signed.body)
        ):
            raise HarnessError(
                f"the damage {send.tampering} finds nothing to change in this message"
            )
        signed = damaged
    if send.signature_of is not None:
        other = named[send.signature_of].signed
        signing = replace(other.signing, authentic=False)
        signed = Signed(other.timestamp, other.signatures, body, signing)
    return ComposedRequest(
        msg_id=earlier.msg_id if earlier is not None else msg_id,
        fields=fields,
        request=_request(send, signed, url, dialect),
        signed=signed,
        form=form,
        body=literal,
    )


def compose_body(
    body: bytes,
    damage: Tampering | None,
    headers: Mapping[str, str | None],
    msg_id: str,
    now: float,
    url: str,
    profile: ReceiverProfile,
) -> ComposedRequest:
    """The request with exactly this `body`, signed now, and then damaged if it is to be."""
    signer = profile.scheme.signer
    signed = signer.sign(signer.dialect.timestamp(now), body)
    if damage is not None:
        signed = damage(signed, signer)
    request = _request(Send(headers=headers), signed, url, signer.dialect)
    return ComposedRequest(msg_id=msg_id, fields={}, request=request, signed=signed)


def _fields(
    send: Send, msg_id: str, now: float, profile: ReceiverProfile, earlier: ComposedRequest | None
) -> dict[str, Any]:
    if send.repeat_of is not None and earlier is not None:
        fields = dict(earlier.fields)
    else:
        kind = profile.plain if send.message == "plain" else send.message
        # A message that bears another's id is a message of its own in all else.
        fields = build(kind, earlier.msg_id if earlier else msg_id, int(now)).fields()
        if send.content_size is not None:
            fields["content"] = _sized(kind, fields["content"], send.content_size)
    for name, value in send.fields.items():
        fields[name] = _moment(value, now)
    for name in send.without:
        fields.pop(name, None)
    return fields


def _moment(value: Any, now: float) -> Any:
    """Whole Unix seconds for a value that is `{now}` or `{now-3600}`, else the value."""
    found = _NOW.fullmatch(value) if isinstance(value, str) else None
    return int(now) + int(found[1] or 0) if found else value


def _time(dialect: Dialect, now: float, found: re.Match[str]) -> str:
    return dialect.timestamp(int(now) + int(found[1] or 0)).decode()


def _sized(kind: str, content: object, size: int) -> str:
    """Content of `size` characters: a Base64 file padded with zero bytes, or the text repeated."""
    text = str(content)
    if kind.endswith("-base64"):
        file = base64.b64decode(text)
        return base64.b64encode(file.ljust(-(-size // 4) * 3, b"\0")).decode()
    return (text * (size // len(text) + 1))[:size]


def _body(send: Send, fields: dict[str, Any], form: str, literal: str | None) -> bytes:
    if send.method in ("GET", "HEAD"):
        return b""
    body = literal.encode() if literal is not None else ENCODINGS[form](fields)
    if send.mutation is None:
        return body
    edited = MUTATIONS[send.mutation](body)
    if edited == body:
        raise HarnessError(f"the edit {send.mutation} finds nothing to change in this message")
    return edited


def _shell_stamp(send: Send) -> str:
    """The timestamp header in shell words, where $TS is the time."""
    if send.timestamp is None:
        return "$TS"
    words, end = "", 0
    for found in _NOW.finditer(send.timestamp):
        words += quoted(send.timestamp[end : found.start()])
        words += f"$((TS{found[1]}))" if found[1] else "${TS}"
        end = found.end()
    return words + quoted(send.timestamp[end:])


def _request(send: Send, signed: Signed, url: str, dialect: Dialect) -> Request:
    headers = {"User-Agent": USER_AGENT, "Content-Type": "application/json", **send.headers}
    lines = [
        (name.encode(), value.encode()) for name, value in headers.items() if value is not None
    ]
    if signed.timestamp is not None:
        lines.append((dialect.timestamp_header.encode(), signed.timestamp))
    lines += [(dialect.signature_header.encode(), signature) for signature in signed.signatures]
    if send.header_case is not None:
        turn = bytes.lower if send.header_case == "lower" else bytes.upper
        lines = [(turn(name), value) for name, value in lines]
    return Request(send.method, url, tuple(lines), signed.body, send.transport)
