"""HTTP/1.x requests as bytes: where one ends, what it holds, and what is wrong with its form (RFC 9112).

`RequestReader` reads leniently, so that whatever reaches a port can be recorded; `problems` judges the
recorded bytes strictly. Pure: knows no sockets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.model.exchange import Headers
from conformance.model.sentence import Sentence

LONGEST_HEAD = 64 * 1024
"""Bytes of a request line and its headers; a longer head is not read further."""

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE = re.compile(rb"[A-Z]{3,} [^\r\n]* HTTP/1\.[0-9]\r?\n")
_BEGINNING = re.compile(rb"[A-Z]{0,20}( [^\r\n]*\r?)?")  # what may become a request line
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?(\r?\n)")
_TRAILER = re.compile(rb"(?:[^\r\n]+\r?\n)*\r?\n")
_LONGEST_SIZE = 60  # bytes; a longer line is not the size of a chunk
_SHOWN = 60  # bytes of what was received, in a problem


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its headers, as far as they can be read. `size` is its bytes, with the blank line;
    `headers` leaves out lines without a colon."""

    method: bytes
    target: bytes
    version: bytes
    headers: Headers
    size: int

    def values(self, name: bytes) -> list[bytes]:
        """The values of every header called `name` (lower case)."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks. Then a Content-Length says nothing (RFC 9112, 6.3)."""
        return any(b"chunked" in value.lower() for value in self.values(b"transfer-encoding"))

    @property
    def length(self) -> int:
        """The first Content-Length that is a number; 0 without one."""
        lengths = self.values(b"content-length")
        return next((int(value) for value in lengths if _is_length(value)), 0)


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it was received: all its bytes, and what could be read of them.

    `head` is None if there is no request line. `body` has no chunk framing; it includes the bytes that
    follow a body that is longer than its Content-Length. `whole` is False if the connection ended, or
    stopped making sense, before the request did.
    """

    raw: bytes
    head: Head | None
    body: bytes
    whole: bool


@dataclass(slots=True)
class RequestReader:
    """Splits the bytes of one connection into requests. `limit` is the bytes of a body beyond which the
    rest is not read."""

    limit: int
    _buffer: bytearray = field(default_factory=bytearray)
    _head: Head | None = None
    _body: bytearray = field(default_factory=bytearray)
    _at: int = 0  # up to where the chunks in the buffer have been read
    _first: bool = True

    def receive(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        self._buffer += data

    @property
    def begun(self) -> bool:
        """Whether bytes of an incomplete request have been received."""
        return bool(self._buffer)

    @property
    def awaits_continue(self) -> bool:
        """Whether the sender waits for 100 Continue before it sends the body (RFC 9110, 10.1.1)."""
        head = self._parsed_head()
        return (
            head is not None
            and len(self._buffer) == head.size
            and any(value.lower() == b"100-continue" for value in head.values(b"expect"))
        )

    def surplus(self) -> bytes:
        """Bytes that follow a complete request and do not begin another one: they belong to its body.
        Takes them off the connection. Call it before `next`."""
        if self._first or not self._buffer or self._head is not None:
            return b""
        begins = _REQUEST_LINE.search(self._buffer)
        if begins is not None:
            size = begins.start()
        elif _BEGINNING.fullmatch(self._buffer) is not None:
            return b""
        else:
            size = len(self._buffer)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def next(self) -> RawRequest | None:
        """The next complete request, or one that cannot be read; None if more bytes are needed."""
        head = self._parsed_head()
        if head is None:
            return self._unreadable()
        if head.chunked:
            return self._chunks()
        available = len(self._buffer) - head.size
        if available < head.length and available <= self.limit:
            return None
        size = min(head.length, self.limit + 1)
        return self._take(head.size + size, bytes(self._buffer[head.size : head.size + size]))

    def finish(self) -> RawRequest | None:
        """What was received of a request that the end of the connection cut short, if anything was."""
        if not self._buffer:
            return None
        head = self._parsed_head()
        if head is None or not head.chunked:
            body = bytes(self._buffer[head.size :]) if head is not None else b""
        else:
            body = bytes(self._body)
        return self._take(len(self._buffer), body, whole=False)

    def _parsed_head(self) -> Head | None:
        if self._head is None:
            self._head = parse_head(self._buffer)
            if self._head is not None:
                self._at = self._head.size
        return self._head

    def _unreadable(self) -> RawRequest | None:
        if len(self._buffer) > LONGEST_HEAD or _END_OF_HEAD.search(self._buffer) is not None:
            return self._take(len(self._buffer), b"", whole=False)
        return None

    def _chunks(self) -> RawRequest | None:
        while True:
            size = _CHUNK_SIZE.match(self._buffer, self._at)
            if size is None:
                if (
                    b"\n" in self._buffer[self._at :]
                    or len(self._buffer) - self._at > _LONGEST_SIZE
                ):
                    return self._take(len(self._buffer), bytes(self._body), whole=False)
                return None
            length, start = int(size[1], 16), size.end()
            if length == 0:
                return self._trailer(start)
            available = len(self._buffer) - start
            size_so_far = len(self._body) + min(available, length)
            if available < length + 2 and size_so_far <= self.limit:
                return None
            self._body += self._buffer[start : start + length]
            self._at = start + length
            self._at += len(_line_end(self._buffer, self._at))
            if len(self._body) > self.limit:
                return self._take(len(self._buffer), bytes(self._body))

    def _trailer(self, start: int) -> RawRequest | None:
        end = _TRAILER.match(self._buffer, start)
        if end is not None:
            return self._take(end.end(), bytes(self._body))
        if len(self._buffer) - start > LONGEST_HEAD:
            return self._take(len(self._buffer), bytes(self._body), whole=False)
        return None

    def _take(self, size: int, body: bytes, *, whole: bool = True) -> RawRequest:
        request = RawRequest(bytes(self._buffer[:size]), self._head, body, whole)
        del self._buffer[:size]
        self._head, self._body, self._at, self._first = None, bytearray(), 0, False
        return request


def parse_head(raw: bytes | bytearray) -> Head | None:
    """The head at the beginning of `raw`; None if it is not complete, or has no request line."""
    end = _END_OF_HEAD.search(raw, 0, LONGEST_HEAD)
    if end is None:
        return None
    first, *lines = bytes(raw[: end.start()]).split(b"\n")
    method, _, rest = first.rstrip(b"\r").partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if not target or not version.startswith(b"HTTP/1."):
        return None
    headers = tuple(
        (name, value.strip(b" \t\r")) for name, colon, value in map(_split, lines) if colon
    )
    return Head(method, target, version, headers, end.end())


def problems(raw: bytes) -> list[Sentence]:
    """What is wrong with the form of a request of which `raw` is every byte; empty for a well-formed one.
    A request that merely stops early has no problem here."""
    head = parse_head(raw)
    if head is None:
        line, ends, _ = raw.partition(b"\n")
        begins = _REQUEST_LINE.match(line + ends) or (not ends and _BEGINNING.fullmatch(line))
        if begins and len(raw) > LONGEST_HEAD:
            return [Sentence("the head is longer than {limit:,} bytes", limit=LONGEST_HEAD)]
        cut = begins and _END_OF_HEAD.search(raw) is None
        return [] if cut else [Sentence("not HTTP/1.x: {start}", start=_shown(raw))]
    return [
        *_line_problems(raw[: head.size]),
        *_request_line_problems(head),
        *_count_problems(head),
        *_length_problems(head),
        *_body_problems(head, raw),
    ]


def _line_problems(head: bytes) -> Iterator[Sentence]:
    *lines, _ = head.split(b"\n")
    if any(not line.endswith(b"\r") for line in lines):
        yield Sentence("a line of the head ends with LF, without CR")
    for line in (line.removesuffix(b"\r") for line in lines[1:]):
        name, colon, value = _split(line)
        if not line:
            continue
        if line[:1] in b" \t":
            yield Sentence("a header is folded over two lines: {line}", line=_shown(line))
        elif not colon or _TOKEN.fullmatch(name) is None:
            yield Sentence("not a header: {line}", line=_shown(line))
        elif b"\r" in value or b"\0" in value:
            yield Sentence("a control character in the header {name}", name=name.decode())


def _request_line_problems(head: Head) -> Iterator[Sentence]:
    if _TOKEN.fullmatch(head.method) is None:
        yield Sentence("not a method: {method}", method=_shown(head.method))
    if re.search(rb"[\x00-\x20\x7f-\xff]", head.target) is not None:
        yield Sentence(
            "a character in the request line that must be percent-encoded: {target}",
            target=_shown(head.target),
        )
    if head.version not in (b"HTTP/1.0", b"HTTP/1.1"):
        yield Sentence("the version is {version}", version=_shown(head.version))


def _count_problems(head: Head) -> Iterator[Sentence]:
    for name, least in (("Host", head.version == b"HTTP/1.1"), ("Content-Type", 0)):
        count = len(head.values(name.lower().encode()))
        if count < least:
            yield Sentence("no {name} header", name=name)
        if count > 1:
            yield Sentence("{count} {name} headers", count=count, name=name)


def _length_problems(head: Head) -> Iterator[Sentence]:
    lengths = head.values(b"content-length")
    codings = head.values(b"transfer-encoding")
    if len(lengths) > 1:
        yield Sentence("{count} Content-Length headers", count=len(lengths))
    for value in lengths:
        if not _is_length(value):
            yield Sentence("Content-Length is {value}, not a number", value=_shown(value))
    if codings and lengths:
        yield Sentence("both Content-Length and Transfer-Encoding")
    if codings and [value.lower() for value in codings] != [b"chunked"]:
        yield Sentence(
            "Transfer-Encoding is {value}, not chunked", value=_shown(b", ".join(codings))
        )
    if codings and head.version == b"HTTP/1.0":
        yield Sentence("Transfer-Encoding in HTTP/1.0")


def _body_problems(head: Head, raw: bytes) -> Iterator[Sentence]:
    if not head.chunked:
        size = len(raw) - head.size
        if size > head.length:
            yield Sentence(
                "the body is {size} bytes, and Content-Length says {length}",
                size=size,
                length=head.length,
            )
        return
    at = head.size
    while (size_line := _CHUNK_SIZE.match(raw, at)) is not None:
        length = int(size_line[1], 16)
        at = size_line.end() + length
        if size_line[2] != b"\r\n" or (
            length and at < len(raw) - 1 and raw[at : at + 2] != b"\r\n"
        ):
            yield Sentence("a chunk does not end with CRLF")
            return
        if length == 0:
            yield from _end_problems(raw, at)
            return
        if at >= len(raw):
            return
        at += 2
    if at < len(raw):
        yield Sentence("not the size of a chunk: {line}", line=_shown(raw[at:]))


def _end_problems(raw: bytes, at: int) -> Iterator[Sentence]:
    """What is wrong from `at` on, behind the line of the last chunk."""
    end = _TRAILER.match(raw, at)
    if end is not None and b"\n" in end[0].replace(b"\r\n", b""):
        yield Sentence("a chunk does not end with CRLF")
    if end is not None and end.end() < len(raw):
        yield Sentence("{count:,} bytes follow the last chunk", count=len(raw) - end.end())


def _split(line: bytes) -> tuple[bytes, bytes, bytes]:
    return line.removesuffix(b"\r").partition(b":")


def _line_end(data: bytearray, at: int) -> bytes:
    return next((end for end in (b"\r\n", b"\n") if data.startswith(end, at)), b"")


def _is_length(value: bytes) -> bool:
    return value.isdigit() and len(value) <= 15


def _shown(raw: bytes) -> str:
    """The beginning of `raw` as one line of ASCII."""
    line = raw[:_SHOWN].decode("latin-1").encode("unicode_escape").decode()
    return line + ("…" if len(raw) > _SHOWN else "")
