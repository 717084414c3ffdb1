"""Turns a step's `send` into the exact bytes of a request. Pure: ids and times are arguments."""

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
from conformance.protocol.signing import Signed, Signer
from conformance.protocol.tampering import TAMPERINGS, quoted
from conformance.scenario.receiver import Send

_NOW = re.compile(r"\{now([+-]\d+)?\}")


@dataclass(frozen=True, slots=True)
class ComposedRequest:
    """A request as it is sent, with what later steps need to send it, or parts of it, again.

    `form` is the JSON encoding of the body, `body` the scenario's literal body if it has one.
    """

    msg_id: str
    fields: dict[str, Any]
    request: Request
    signed: Signed
    form: str = "compact"
    body: str | None = None

    @property
    def signing(self) -> Signing:
        """How the signature was made."""
        return self.signed.signing


def compose(
    send: Send,
    profile: ReceiverProfile,
    msg_id: str,
    now: float,
    earlier: Mapping[str, ComposedRequest],
) -> ComposedRequest:
    """The request that `send` describes, for a target with this profile: with a fresh `msg_id`, and as of
    `now` in Unix seconds. `earlier` holds, by name, one request of each earlier step that has a name. Raises
    HarnessError when a mutation or tampering changes nothing."""
    original = earlier.get(send.repeat_of or send.id_of or "")
    if send.exact and original is not None:
        return original
    msg_id = original.msg_id if original is not None else msg_id
    fields = _fields(send, original, profile.plain, msg_id, now)
    form = (
        original.form
        if send.repeat_of and original and send.encoding == "compact"
        else send.encoding
    )
    literal = original.body if send.repeat_of and original else send.body
    body = _body(send, fields, profile.form if form == "compact" else form, literal)
    signer = profile.scheme.signer
    signed = _sign(send, signer, body, now)
    if send.tampering is not None:
        signed = _tamper(send.tampering, signed, signer)
    if send.signature_of is not None:
        other = earlier[send.signature_of].signed
        signing = replace(other.signing, authentic=False)
        signed = Signed(other.timestamp, other.signatures, body, signing)
    return ComposedRequest(
        msg_id=msg_id,
        fields=fields,
        request=_request(send, signed, profile),
        signed=signed,
        form=form,
        body=literal,
    )


def compose_signed(
    signed: Signed, headers: Mapping[str, str | None], profile: ReceiverProfile, msg_id: str
) -> ComposedRequest:
    """The request with exactly this body, as it was signed, and then perhaps tampered with."""
    request = _request(Send(headers=headers), signed, profile)
    return ComposedRequest(msg_id=msg_id, fields={}, request=request, signed=signed)


def _sign(send: Send, signer: Signer, body: bytes, now: float) -> Signed:
    dialect = signer.dialect
    stamp = dialect.timestamp(now)
    if send.timestamp is not None:
        stamp = _NOW.sub(lambda match: _time(dialect, now, match), send.timestamp).encode()
    # Spaces around a header's value are not part of it (RFC 9110, 5.5).
    signed = signer.sign(stamp.strip(), body)
    words = _shell_stamp(send)
    signing = replace(signed.signing, stamp=words, signed_stamp=words.strip())
    return replace(signed, timestamp=stamp, signing=signing)


def _tamper(name: str, signed: Signed, signer: Signer) -> Signed:
    tampered = TAMPERINGS[name](signed, signer)
    if (tampered.timestamp, tampered.signatures, tampered.body) == (
        (signed.timestamp, signed.signatures, signed.body)
    ):
        raise HarnessError(
            "the tampering {name} finds nothing to change in this message", name=name
        )
    return tampered


def _fields(
    send: Send, original: ComposedRequest | None, plain: str, msg_id: str, now: float
) -> dict[str, Any]:
    """The message's fields; `plain` is the kind of a plain message."""
    if send.repeat_of is not None and original is not None:
        fields = dict(original.fields)
    else:
        kind = plain if send.message == "plain" else send.message
        # A message with another's id (`id-of`) shares nothing else with it.
        fields = build(kind, msg_id, int(now)).fields()
        if send.content_size is not None:
            fields["content"] = _resize(kind, fields["content"], send.content_size)
    for name, value in send.fields.items():
        fields[name] = _moment(value, now)
    for name in send.without:
        fields.pop(name, None)
    return fields


def _moment(value: Any, now: float) -> Any:
    """Whole Unix seconds for a value such as `{now}` or `{now-3600}`; any other value as it is."""
    match = _NOW.fullmatch(value) if isinstance(value, str) else None
    return int(now) + int(match[1] or 0) if match else value


def _time(dialect: Dialect, now: float, match: re.Match[str]) -> str:
    return dialect.timestamp(int(now) + int(match[1] or 0)).decode()


def _resize(kind: str, content: object, size: int) -> str:
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
    mutated = MUTATIONS[send.mutation](body)
    if mutated == body:
        raise HarnessError(
            "the mutation {mutation} finds nothing to change in this message",
            mutation=send.mutation,
        )
    return mutated


def _shell_stamp(send: Send) -> str:
    """The timestamp header as shell words, where $TS is the time."""
    if send.timestamp is None:
        return "$TS"
    words, end = "", 0
    for match in _NOW.finditer(send.timestamp):
        words += quoted(send.timestamp[end : match.start()])
        words += f"$((TS{match[1]}))" if match[1] else "${TS}"
        end = match.end()
    return words + quoted(send.timestamp[end:])


def _request(send: Send, signed: Signed, profile: ReceiverProfile) -> Request:
    dialect = profile.scheme.signer.dialect
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
    return Request(send.method, profile.url, tuple(lines), signed.body, send.transport)
