"""Masks secrets in what the target sent, and in what was sent to it together with its secret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from conformance.model.exchange import Answer, Exchange, Headers, Masked, Role
from conformance.protocol.encodings import in_json

MASK = b"(secret)"

PEER_ROLES = frozenset({Role.API, Role.EMIT, Role.ATTEMPT, Role.ELSEWHERE, Role.MALFORMED})
"""Roles whose requests may hold a secret too. The suite composes the others, in which a short secret
can only occur by chance."""


def mask_exchange(exchange: Exchange, secrets: Iterable[bytes], own: bytes) -> Exchange:
    """`exchange` with MASK in place of each of `secrets`. If it held `own`, the target's secret, it is
    marked differently, since that is a finding."""
    longest_first = sorted(secrets, key=len, reverse=True)
    answer = _answer(exchange.answer, longest_first) if exchange.answer is not None else None
    request, raw = exchange.request, exchange.raw
    if exchange.role in PEER_ROLES:
        raw = raw and _bytes(raw, longest_first)
        request = replace(
            request,
            url=_text(request.url, longest_first),
            headers=_headers(request.headers, longest_first),
            body=_bytes(request.body, longest_first),
        )
    if (answer, request, raw) == (exchange.answer, exchange.request, exchange.raw):
        return exchange
    content = _content(exchange.answer) if exchange.answer is not None else b""
    if exchange.role in PEER_ROLES:
        values = [value for _, value in exchange.request.headers]
        content += b"\n".join([exchange.raw or b"", exchange.request.body, *values])
    leaked = any(encoding in content for encoding in in_json(own))
    mark = Masked.SECRET if own in longest_first and leaked else Masked.CREDENTIAL
    masked = exchange.masked | {mark}
    return replace(exchange, answer=answer, request=request, raw=raw, masked=masked)


def mask_json(data: Any, secrets: Iterable[bytes]) -> Any:
    """JSON data with MASK in place of each of `secrets`, in every string."""
    longest_first = sorted(secrets, key=len, reverse=True)
    match data:
        case str():
            return _text(data, longest_first)
        case dict():
            return {key: mask_json(value, longest_first) for key, value in data.items()}
        case list() | tuple():
            return [mask_json(value, longest_first) for value in data]
        case _:
            return data


def _answer(answer: Answer, secrets: Sequence[bytes]) -> Answer:
    headers, body = _headers(answer.headers, secrets), _bytes(answer.body, secrets)
    unpacked = answer.unpacked
    if unpacked is not answer.body and any(secret in unpacked for secret in secrets):
        body = MASK
    if (headers, body) == (answer.headers, answer.body):
        return answer
    return replace(answer, headers=headers, body=body)


def _content(answer: Answer) -> bytes:
    return b"\n".join([*(value for _, value in answer.headers), answer.unpacked])


def _headers(headers: Headers, secrets: Sequence[bytes]) -> Headers:
    return tuple((name, _bytes(value, secrets)) for name, value in headers)


def _bytes(value: bytes, secrets: Sequence[bytes]) -> bytes:
    for secret in secrets:
        if secret in value:
            value = value.replace(secret, MASK)
    return value


def _text(value: str, secrets: Sequence[bytes]) -> str:
    for secret in secrets:
        value = value.replace(secret.decode("utf-8", "surrogateescape"), MASK.decode())
    return value
