"""One exchange made ready for a page: request and answer side by side, with their differences marked.

A request that was tampered with is compared with what was signed, any other with the first request
that carried the same message. An answer is compared with the answer to that first request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from markupsafe import Markup

from conformance.model.exchange import Answer, Exchange, Fault, Headers, Role
from conformance.model.sentence import EMPTY, Sentence
from conformance.reporting.html.text_diff import diff
from conformance.reporting.pages.escaped_text import both, decode, escape_text, escape_wire
from conformance.reporting.translations import (
    FAULTS,
    TRANSPORTS,
    WORDS,
    cut_answer,
    cut_body,
    cut_headers,
)

LONGEST_HEADER = 400
"""Bytes of a header's value that are shown."""
MOST_HEADERS = 40
_LONGEST_REMOVED = 60
"""Characters that are shown of something missing."""
_VOLATILE = (b"date", b"age", b"x-request-id")
"""Headers of an answer that differ every time, which means nothing."""
_COMPARED = (Role.PROBE, Role.ATTEMPT)
_DIGEST = re.compile(rb"[0-9a-fA-F]{64}|[0-9A-Za-z+/]{43}=")
"""SHA-256 in hex or Base64."""


@dataclass(frozen=True, slots=True)
class ExchangeView:
    """An exchange as markup. `call` and `ending` sum up `request` and its answer or fault in a line.
    `request_note` and `answer_note` explain the marks in them."""

    id: int
    call: Markup
    ending: Markup
    milliseconds: str
    transport: Markup
    request: Markup
    answer: Markup | None
    fault: Markup | None
    request_note: Markup
    answer_note: Markup

    @property
    def weight(self) -> int:
        """Bytes that it takes on a page, more or less."""
        return len(self.request.encode()) + len((self.answer or "").encode()) + 600


@dataclass(frozen=True, slots=True)
class _HttpMessage:
    """A request or an answer. `cut`: its body was longer than what was recorded of it."""

    start_line: Markup
    headers: Headers
    body: bytes
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a request or an answer is compared with, and the notes on an equal and a different one."""

    headers: Headers
    body: bytes
    same: Sentence
    differs: Sentence


class ExchangeRenderer:
    """Renders the exchanges of one trace."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._first: dict[tuple[str, str], Exchange] = {}
        self._signing_headers: tuple[bytes, bytes] | None = None
        for exchange in exchanges:
            self._signing_headers = self._signing_headers or _signing_headers(exchange)
            if exchange.msg_id is not None and exchange.role in _COMPARED:
                self._first.setdefault((exchange.request.url, exchange.msg_id), exchange)

    def render(self, exchange: Exchange, longest: int) -> ExchangeView:
        """`exchange` as markup, with at most `longest` bytes of each body."""
        request = exchange.request
        fault = _fault(exchange) if exchange.fault is not None else None
        start_line = escape_text(f"{request.method} {request.url}".lstrip()[:LONGEST_HEADER])
        sent = _MessageRenderer(
            _HttpMessage(start_line, *exchange.as_received),
            longest,
            self._signed_request(exchange) or self._first_request(exchange),
        )
        received = None
        if exchange.answer is not None:
            reference = self._first_answer(exchange)
            received = _MessageRenderer(_http_answer(exchange.answer), longest, reference)
        path = "/" + request.url.split("/", 3)[-1]
        return ExchangeView(
            id=exchange.id,
            call=escape_text(f"{request.method} {path}".lstrip()[:LONGEST_HEADER]),
            ending=fault or Markup("{}").format(exchange.status or "…"),
            milliseconds=milliseconds(exchange.seconds),
            transport=both(TRANSPORTS.get(request.transport, EMPTY)),
            request=sent.markup,
            answer=received.markup if received else None,
            fault=fault,
            request_note=sent.note,
            answer_note=received.note if received else Markup(""),
        )

    def _signed_request(self, exchange: Exchange) -> _Reference | None:
        """What was signed, for a request that was tampered with afterwards."""
        signing = exchange.signing
        if signing is None or signing.authentic or self._signing_headers is None:
            return None
        timestamp, signature = self._signing_headers
        correct = signing.secret is None and signing.signatures == ("$SIG",)
        expected = {timestamp.lower(): signing.timestamp}
        if not correct:
            expected[signature.lower()] = "…".encode()
        headers = [
            (name, expected.pop(name.lower(), value)) for name, value in exchange.request.headers
        ]
        missing = [
            (name, expected[name.lower()])
            for name in self._signing_headers
            if name.lower() in expected
        ]
        note = WORDS["differs-from-signed"]
        return _Reference((*headers, *missing), signing.body, EMPTY, note)

    def _first_request(self, exchange: Exchange) -> _Reference | None:
        first = self._first_of_message(exchange)
        if first is None:
            return None
        return _Reference(first.request.headers, first.request.body, *_notes(first))

    def _first_answer(self, exchange: Exchange) -> _Reference | None:
        first = self._first_of_message(exchange)
        if first is None or first.answer is None or exchange.role is Role.ATTEMPT:
            return None
        return _Reference(first.answer.headers, first.answer.body, *_notes(first))

    def _first_of_message(self, exchange: Exchange) -> Exchange | None:
        """The first exchange of the same message, unless this is the first."""
        if exchange.msg_id is None or exchange.role not in _COMPARED:
            return None
        first = self._first.get((exchange.request.url, exchange.msg_id))
        return None if first is None or first.id == exchange.id else first


class _MessageRenderer:
    """Renders a request or an answer as it was on the wire, at most `longest` bytes of its body, with
    its differences from `reference` marked."""

    def __init__(self, message: _HttpMessage, longest: int, reference: _Reference | None) -> None:
        self._reference = reference
        self._differs = False
        headers, size = message.headers, len(message.body)
        lines = [Markup("<b>{}</b>").format(message.start_line), *self._headers(headers)]
        if len(headers) > MOST_HEADERS:
            lines.append(_remark(cut_headers(len(headers), MOST_HEADERS)))
        content = self._body(message.body, longest)
        if content:
            lines += [Markup(""), content]
        if message.cut or size > longest:
            cut = cut_answer if message.cut else cut_body
            lines.append(_remark(cut(size, min(longest, size))))
        self.markup = Markup("\n").join(lines)

    @property
    def note(self) -> Markup:
        """What the marks mean, or that there are none."""
        if self._reference is None:
            return Markup("")
        return both(self._reference.differs if self._differs else self._reference.same)

    def _headers(self, headers: Headers) -> Iterator[Markup]:
        reference = self._reference
        expected = (
            {name.lower(): (name, value) for name, value in reference.headers} if reference else {}
        )
        for name, value in headers[:MOST_HEADERS]:
            text = decode(value, LONGEST_HEADER)
            _, before = expected.pop(name.lower(), (b"", b""))
            if reference is None or name.lower() in _VOLATILE:
                content = escape_wire(text, lines=False)
            else:
                content = self._compared(decode(before, LONGEST_HEADER), text, lines=False)
            end = "…" if len(value) > LONGEST_HEADER else ""
            yield Markup("<s>{}:</s> {}{}").format(_header_name(name), content, end)
        for name, value in expected.values():
            if name.lower() not in _VOLATILE:
                self._differs = True
                removed = escape_wire(decode(value, _LONGEST_REMOVED), lines=False)
                yield Markup("<del>{}: {}</del>").format(_header_name(name), removed)

    def _body(self, body: bytes, longest: int) -> Markup:
        text = decode(body, longest)
        if self._reference is None:
            return escape_wire(text)
        if body != self._reference.body:
            self._differs = True  # even if the difference is beyond what is shown
        return self._compared(decode(self._reference.body, longest), text, lines=True)

    def _compared(self, before: str, after: str, *, lines: bool) -> Markup:
        parts = []
        for piece in diff(before, after):
            if piece.same:
                parts.append(escape_wire(piece.text, lines=lines))
                continue
            self._differs = True
            if piece.text:
                parts.append(Markup("<mark>{}</mark>").format(escape_wire(piece.text, lines=lines)))
            else:
                removed = escape_wire(piece.removed[:_LONGEST_REMOVED], lines=lines)
                end = "…" if len(piece.removed) > _LONGEST_REMOVED else ""
                parts.append(Markup("<del>{}{}</del>").format(removed, end))
        return Markup("").join(parts)


def _notes(first: Exchange) -> tuple[Sentence, Sentence]:
    """The notes on a request or an answer that is the same as in `first`, and on a different one."""
    number = Sentence("#{exchange}", exchange=first.id)
    return WORDS["same-as"] + number, WORDS["differs-from"] + number


def _http_answer(answer: Answer) -> _HttpMessage:
    status_line = f"{answer.status} {_phrase(answer.status)}".rstrip()
    return _HttpMessage(Markup("{}").format(status_line), answer.headers, answer.body, answer.cut)


def _signing_headers(exchange: Exchange) -> tuple[bytes, bytes] | None:
    """The names of the timestamp and the signature header of a correctly signed request, recognised
    by their values."""
    signing = exchange.signing
    if signing is None or not signing.authentic:
        return None
    headers = exchange.request.headers
    timestamps = [name for name, value in headers if value == signing.timestamp]
    signatures = [name for name, value in headers if _DIGEST.fullmatch(value)]
    return (timestamps[0], signatures[0]) if timestamps and signatures else None


def _fault(exchange: Exchange) -> Markup:
    text = exchange.detail[:LONGEST_HEADER]
    detail = Sentence(" ({detail})", detail=text) if text else EMPTY
    return both(FAULTS[exchange.fault or Fault.CLOSED] + detail)


def _remark(sentence: Sentence) -> Markup:
    return Markup("<em>{}</em>").format(both(sentence))


def _header_name(name: bytes) -> Markup:
    return escape_wire(decode(name, LONGEST_HEADER), lines=False)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def milliseconds(seconds: float) -> str:
    """A time as people read it: `1.3 ms`, `840 ms`."""
    number = f"{seconds * 1000:,.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"
    return f"{number}\N{NO-BREAK SPACE}ms"
