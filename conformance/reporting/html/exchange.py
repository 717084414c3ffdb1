"""One exchange made ready for a page: request and answer side by side, what differs in them marked.

A request is compared with what was signed, when it is no longer that; else with the first request
that carried the same message. An answer is compared with the answer to that one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from markupsafe import Markup

from conformance.model.exchange import Exchange, Fault, Headers, Role
from conformance.model.text import NO_TEXT, Text
from conformance.reporting.html.changes import changes
from conformance.reporting.pages.escaped import both, decoded, marked, wire
from conformance.reporting.translations import FAULTS, TRANSPORTS, WORDS

LONGEST_HEADER = 400
MOST_HEADERS = 40
_GONE = 60
"""Characters that are shown of what is missing."""
_VOLATILE = (b"date", b"age", b"x-request-id")
"""Headers of an answer that differ each time, and say nothing by it."""
_COMPARED = (Role.PROBE, Role.ATTEMPT)
_DIGEST = re.compile(rb"[0-9a-fA-F]{64}|[0-9A-Za-z+/]{43}=")
"""SHA-256 in hex or Base64."""


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """`call` and `came` say in short what `request` and `answer` show whole. `against` and
    `answered_against` say what the marks in them mean."""

    id: int
    call: Markup
    came: Markup
    milliseconds: str
    way: Markup
    request: Markup
    answer: Markup | None
    fault: Markup | None
    against: Markup
    answered_against: Markup

    @property
    def weight(self) -> int:
        """Bytes that it takes on a page, more or less."""
        return len(self.request.encode()) + len((self.answer or "").encode()) + 600


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a request or an answer is compared with, and how that is called."""

    headers: Headers
    body: bytes
    same: Text
    differs: Text


class Wire:
    """Shows the exchanges of one trace, `longest` bytes of a body."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._first: dict[tuple[str, str], Exchange] = {}
        self._names: tuple[bytes, bytes] | None = None
        for each in exchanges:
            self._names = self._names or _names(each)
            if each.msg_id is not None and each.role in _COMPARED:
                self._first.setdefault((each.request.url, each.msg_id), each)

    def show(self, exchange: Exchange, longest: int) -> ShownExchange:
        """`exchange` as markup."""
        request, answer, fault = exchange.request, exchange.answer, exchange.fault
        told = _told(exchange) if fault is not None else None
        earlier = self._earlier(exchange)
        signed = self._signed(exchange)
        first = marked(f"{request.method} {request.url}"[:LONGEST_HEADER])
        asked = _Shown(first, request.headers, request.body, longest, signed or earlier)
        came = answered = None
        if answer is not None:
            status = f"{answer.status} {_phrase(answer.status)}".rstrip()
            answered = _Shown(
                Markup("{}").format(status),
                answer.headers,
                answer.body,
                longest,
                self._earlier_answer(exchange),
                more=answer.cut,
            )
            came = answered.markup
        path = "/" + request.url.split("/", 3)[-1]
        return ShownExchange(
            id=exchange.id,
            call=marked(f"{request.method} {path}"[:LONGEST_HEADER]),
            came=told or Markup("{}").format(exchange.status or "…"),
            milliseconds=milliseconds(exchange.seconds),
            way=both(TRANSPORTS.get(request.transport, NO_TEXT)),
            request=asked.markup,
            answer=came,
            fault=told,
            against=asked.against,
            answered_against=answered.against if answered else Markup(""),
        )

    def _signed(self, exchange: Exchange) -> _Reference | None:
        """What was signed, for a request that is no longer that."""
        signing = exchange.signing
        if signing is None or signing.authentic or self._names is None:
            return None
        stamp, signature = self._names
        right = signing.secret is None and signing.signatures == ("$SIG",)
        wanted = {stamp.lower(): signing.timestamp}
        if not right:
            wanted[signature.lower()] = "…".encode()
        headers = [
            (name, wanted.pop(name.lower(), value)) for name, value in exchange.request.headers
        ]
        missing = [(name, wanted[name.lower()]) for name in self._names if name.lower() in wanted]
        said = WORDS["differs-from-signed"]
        return _Reference((*headers, *missing), signing.body, NO_TEXT, said)

    def _earlier(self, exchange: Exchange) -> _Reference | None:
        found = self._before(exchange)
        if found is None:
            return None
        return _Reference(found.request.headers, found.request.body, *self._named(found))

    def _earlier_answer(self, exchange: Exchange) -> _Reference | None:
        found = self._before(exchange)
        if found is None or found.answer is None or exchange.role is Role.ATTEMPT:
            return None
        return _Reference(found.answer.headers, found.answer.body, *self._named(found))

    def _before(self, exchange: Exchange) -> Exchange | None:
        """The first exchange of the same message, unless this is it."""
        if exchange.msg_id is None or exchange.role not in _COMPARED:
            return None
        found = self._first.get((exchange.request.url, exchange.msg_id))
        return None if found is None or found.id == exchange.id else found

    def _named(self, other: Exchange) -> tuple[Text, Text]:
        number = Text(f"#{other.id}", f"#{other.id}")
        return WORDS["same-as"] + number, WORDS["differs-from"] + number


class _Shown:
    """A request or an answer as it stood on the wire, the body cut where it is long.

    `more`: the body was longer still than what was kept of it.
    """

    def __init__(
        self,
        first: Markup,
        headers: Headers,
        body: bytes,
        longest: int,
        reference: _Reference | None,
        *,
        more: bool = False,
    ) -> None:
        self._reference = reference
        self._differs = False
        lines = [Markup("<b>{}</b>").format(first), *self._headers(headers)]
        if len(headers) > MOST_HEADERS:
            lines.append(_remark("cut-headers", len(headers), MOST_HEADERS))
        content = self._body(body, longest)
        if content:
            lines += [Markup(""), content]
        if more or len(body) > longest:
            lines.append(_remark("cut-more" if more else "cut", len(body), min(longest, len(body))))
        self.markup = Markup("\n").join(lines)

    @property
    def against(self) -> Markup:
        """What the marks mean, or that there is nothing to mark."""
        if self._reference is None:
            return Markup("")
        return both(self._reference.differs if self._differs else self._reference.same)

    def _headers(self, headers: Headers) -> Iterator[Markup]:
        reference = self._reference
        earlier = {each[0].lower(): each for each in reference.headers} if reference else {}
        for name, value in headers[:MOST_HEADERS]:
            shown = decoded(value, LONGEST_HEADER)
            _, before = earlier.pop(name.lower(), (b"", b""))
            if reference is None or name.lower() in _VOLATILE:
                content = wire(shown, lines=False)
            else:
                content = self._compared(decoded(before, LONGEST_HEADER), shown, lines=False)
            end = "…" if len(value) > LONGEST_HEADER else ""
            yield Markup("<s>{}:</s> {}{}").format(_name(name), content, end)
        for name, value in earlier.values():
            if name.lower() not in _VOLATILE:
                self._differs = True
                gone = wire(decoded(value, _GONE), lines=False)
                yield Markup("<del>{}: {}</del>").format(_name(name), gone)

    def _body(self, body: bytes, longest: int) -> Markup:
        shown = decoded(body, longest)
        if self._reference is None:
            return wire(shown)
        if body != self._reference.body:
            self._differs = True  # although it may be further on than what is shown
        return self._compared(decoded(self._reference.body, longest), shown, lines=True)

    def _compared(self, before: str, after: str, *, lines: bool) -> Markup:
        parts = []
        for piece in changes(before, after):
            if piece.same:
                parts.append(wire(piece.text, lines=lines))
                continue
            self._differs = True
            if piece.text:
                parts.append(Markup("<mark>{}</mark>").format(wire(piece.text, lines=lines)))
            else:
                gone = wire(piece.gone[:_GONE], lines=lines)
                end = "…" if len(piece.gone) > _GONE else ""
                parts.append(Markup("<del>{}{}</del>").format(gone, end))
        return Markup("").join(parts)


def _names(exchange: Exchange) -> tuple[bytes, bytes] | None:
    """The timestamp and the signature header of a request that is signed well, by their values."""
    signing = exchange.signing
    if signing is None or not signing.authentic:
        return None
    headers = exchange.request.headers
    stamps = [name for name, value in headers if value == signing.timestamp]
    signatures = [name for name, value in headers if _DIGEST.fullmatch(value)]
    return (stamps[0], signatures[0]) if stamps and signatures else None


def _told(exchange: Exchange) -> Markup:
    detail = Text(f" ({exchange.detail})", f"（{exchange.detail}）") if exchange.detail else NO_TEXT
    told = FAULTS[exchange.fault or Fault.CLOSED] + detail
    return both(Text(told.en[:LONGEST_HEADER], told.zh[:LONGEST_HEADER]))


def _remark(name: str, whole: int, shown: int) -> Markup:
    figures = {"whole": f"{whole:,}", "shown": f"{shown:,}"}
    text = WORDS[name]
    said = both(Text(text.en.format(**figures), text.zh.format(**figures)))
    return Markup("<em>{}</em>").format(said)


def _name(name: bytes) -> Markup:
    return wire(decoded(name, LONGEST_HEADER), lines=False)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def milliseconds(seconds: float) -> str:
    """A time as people read it: `1.3 ms`, `840 ms`."""
    number = f"{seconds * 1000:,.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"
    return f"{number}\N{NO-BREAK SPACE}ms"
