"""What must not stand in a trace: the secret, in whatever a target sent or was told with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from conformance.model.exchange import Answer, Exchange, Headers, Masked, Role
from conformance.protocol.encodings import in_json

MASK = b"(secret)"

TOLD = frozenset({Role.API, Role.EMIT, Role.ATTEMPT, Role.ELSEWHERE})
"""Roles whose requests may hold a secret too; those of the others are the suite's own making, in
which a short secret could only stand by chance."""


def without(each: Exchange, secrets: Iterable[bytes], own: bytes) -> Exchange:
    """`each` with MASK for every one of `secrets`. That `own`, the target's secret, was among what
    it held is noted apart: it is a finding."""
    longest_first = sorted(secrets, key=len, reverse=True)
    answer = _answer(each.answer, longest_first) if each.answer is not None else None
    request = each.request
    if each.role in TOLD:
        request = replace(
            request,
            url=_text(request.url, longest_first),
            headers=_headers(request.headers, longest_first),
            body=_bytes(request.body, longest_first),
        )
    if (answer, request) == (each.answer, each.request):
        return each
    held = _all(each.answer) if each.answer is not None else b""
    if each.role in TOLD:
        held += b"\n".join([each.request.body, *(value for _, value in each.request.headers)])
    shown = any(written in held for written in in_json(own))
    mark = Masked.SECRET if own in longest_first and shown else Masked.GIVEN
    return replace(each, answer=answer, request=request, masked=each.masked | {mark})


def without_words(data: Any, secrets: Iterable[bytes]) -> Any:
    """The same in every text of JSON data."""
    longest_first = sorted(secrets, key=len, reverse=True)
    match data:
        case str():
            return _text(data, longest_first)
        case dict():
            return {key: without_words(value, longest_first) for key, value in data.items()}
        case list() | tuple():
            return [without_words(value, longest_first) for value in data]
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


def _all(answer: Answer) -> bytes:
    return b"\n".join([*(value for _, value in answer.headers), answer.unpacked])


def _headers(headers: Headers, secrets: Sequence[bytes]) -> Headers:
    return tuple((name, _bytes(value, secrets)) for name, value in headers)


def _bytes(held: bytes, secrets: Sequence[bytes]) -> bytes:
    for secret in secrets:
        if secret in held:
            held = held.replace(secret, MASK)
    return held


def _text(held: str, secrets: Sequence[bytes]) -> str:
    for secret in secrets:
        held = held.replace(secret.decode("utf-8", "surrogateescape"), MASK.decode())
    return held
