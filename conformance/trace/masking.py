"""Masks secrets in the records of a run: in what a peer sent, and in what was signed. The suite's own words,
rule ids and the user's URLs stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from conformance.model.exchange import Answer, Exchange, Headers, Masked, Request, Role
from conformance.model.result import Result
from conformance.model.sentence import Sentence
from conformance.options.secrets import MASK, Mask, mask_of
from conformance.protocol.http1 import parse_head

_DELIVERED = frozenset({Role.ATTEMPT, Role.ELSEWHERE, Role.MALFORMED})
_PEER_ROLES = _DELIVERED | {Role.API, Role.EMIT}
"""Roles whose requests a sender composed, or the suite with what a sender answered before. Of the others only
the body is masked: it was signed, and a short secret may occur in it by chance."""

_OWN_WORDS = frozenset(
    {"rule", "place", "places", "where", "broken", "listed", "names", "url", "requested", "spoken"}
    | {"summary", "dialect", "check", "mutation", "encoding", "source", "kind"}
)
"""Parameters of sentences that never quote a peer."""

_AUTHORITY = re.compile(r"\w+://[^/?#]*")


def mask_exchange(exchange: Exchange, mask: Mask) -> Exchange:
    """`exchange` with MASK in place of each secret. If what the peer sent held the target's own, it is
    marked differently, since that is a finding."""
    from_peer = b"\n".join(_from_peer(exchange))
    if not any(map(mask.matches, (from_peer, *_from_suite(exchange)))):
        return exchange
    msg_id, signing = exchange.msg_id, exchange.signing
    masked = replace(
        exchange,
        msg_id=mask.text(msg_id) if msg_id and exchange.role in _PEER_ROLES else msg_id,
        request=_request(exchange, mask),
        signing=signing and replace(signing, body=mask(signing.body)),
        answer=exchange.answer and _answer(exchange.answer, mask),
        raw=exchange.raw and _raw(exchange.raw, exchange.request.body, mask),
    )
    if masked == exchange:
        return exchange
    mark = Masked.SECRET if mask_of(mask.own).matches(from_peer) else Masked.CREDENTIAL
    return replace(masked, masked=exchange.masked | {mark})


def mask_result(result: Result, mask: Mask) -> Result:
    """`result` with MASK in place of each secret in its message, and without a shell line that holds one."""
    line = result.reproduce or ""
    holds_secret = any(secret in line.encode("utf-8", "surrogatepass") for secret in mask.secrets)
    return replace(
        result,
        message=mask_sentence(result.message, mask),
        reproduce=None if holds_secret else result.reproduce,
    )


def mask_sentence(sentence: Sentence, mask: Mask) -> Sentence:
    """`sentence` with MASK in place of each secret in the parameters that may quote a peer."""
    return sentence.with_text(mask.text, _OWN_WORDS)


def mask_run(run: Mapping[str, Any] | None, mask: Mask) -> Mapping[str, Any] | None:
    """The metadata of a run with MASK in place of each secret in what was learnt from answers."""
    if run is None or "inferred" not in run["profile"]:
        return run
    profile = dict(run["profile"])
    blind = profile["blind"] and mask_sentence(Sentence.from_data(profile["blind"]), mask).as_data()
    profile |= {"blind": blind, "inferred": _mask_json(profile["inferred"], mask)}
    return {**run, "profile": profile}


def differs_from_signed(exchange: Exchange) -> bool:
    """Whether the recorded body is not the one that was signed: contents, or a secret in it, are masked."""
    in_body = bool(exchange.masked) and MASK in exchange.request.body
    return Masked.CONTENT in exchange.masked or in_body


def _from_peer(exchange: Exchange) -> Iterator[bytes]:
    """Everything in an exchange that the peer sent."""
    request, answer = exchange.request, exchange.answer
    if exchange.role in _DELIVERED:
        yield _AUTHORITY.sub("", request.url).encode("utf-8", "replace")
        yield from (piece for header in request.headers for piece in header)
        yield from (request.body, exchange.raw or b"")
    if answer is not None:
        yield from (piece for header in answer.headers for piece in header)
        yield answer.unpacked


def _from_suite(exchange: Exchange) -> Iterator[bytes]:
    """What the suite sent, as far as it may be masked."""
    request, signing = exchange.request, exchange.signing
    if exchange.role not in _DELIVERED:
        yield request.body
        if exchange.role in _PEER_ROLES:
            yield request.url.encode("utf-8", "replace")
    if signing is not None and signing.body is not request.body:
        yield signing.body


def _request(exchange: Exchange, mask: Mask) -> Request:
    request = exchange.request
    if exchange.role not in _PEER_ROLES:
        return replace(request, body=mask(request.body))
    end = len(request.url.partition("?")[0])
    if exchange.role in _DELIVERED and (authority := _AUTHORITY.match(request.url)):
        end = authority.end()
    return replace(
        request,
        url=request.url[:end] + mask.text(request.url[end:]),
        headers=_headers(request.headers, mask),
        body=mask(request.body),
    )


def _raw(raw: bytes, body: bytes, mask: Mask) -> bytes:
    """The bytes of a request. Where chunks may divide a secret, nothing stays of the body."""
    if body in raw or not mask.matches(body):
        return mask(raw)
    head = parse_head(raw)
    return mask(raw[: head.size]) + MASK if head is not None else MASK


def _answer(answer: Answer, mask: Mask) -> Answer:
    unpacked = answer.unpacked
    hidden = unpacked is not answer.body and mask.matches(unpacked)
    body = MASK if hidden else mask(answer.body)
    return replace(answer, headers=_headers(answer.headers, mask), body=body)


def _headers(headers: Headers, mask: Mask) -> Headers:
    return tuple((mask(name), mask(value)) for name, value in headers)


def _mask_json(data: Any, mask: Mask) -> Any:
    match data:
        case str():
            return mask.text(data)
        case list() | tuple():
            return [_mask_json(value, mask) for value in data]
        case _:
            return data
