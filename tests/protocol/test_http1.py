"""Requests as bytes, compared with what h11, which shares no code with it, reads and writes."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.protocol.http1 import LONGEST_HEAD, RawRequest, RequestReader, problems

LIMIT = 1000
PLAIN = b"POST /h/1 HTTP/1.1\r\nHost: mock\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = (
    b"POST /h/1 HTTP/1.1\r\nHost: mock\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\n{\r\n1;a=b\r\n}\r\n0\r\nTrailer: 1\r\n\r\n"
)


def read(*pieces: bytes) -> list[RawRequest]:
    """The requests in a connection's bytes, with what follows each added to it."""
    reader, found = RequestReader(LIMIT), list[RawRequest]()

    def add_surplus() -> None:
        if surplus := reader.surplus():
            last = found.pop()
            found.append(RawRequest(last.raw + surplus, last.head, last.body + surplus, last.whole))

    for piece in pieces:
        reader.receive(piece)
        add_surplus()
        while (request := reader.next()) is not None:
            found.append(request)
            add_surplus()
    add_surplus()
    if (rest := reader.finish()) is not None:
        found.append(rest)
    return found


def templates(raw: bytes) -> list[str]:
    return [phrase.template for problem in problems(raw) for phrase in problem._phrases]


@pytest.mark.parametrize("raw", [PLAIN, CHUNKED], ids=["length", "chunks"])
@given(data=st.data())
def test_however_a_connection_is_split_its_requests_are_the_same(
    raw: bytes, data: st.DataObject
) -> None:
    whole = raw + PLAIN + raw
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = read(*pieces)
    assert [(each.raw, each.body, each.whole) for each in found] == [
        (raw, b"{}", True), (PLAIN, b"{}", True), (raw, b"{}", True),
    ]  # fmt: skip


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_no_byte_of_a_connection_is_lost_or_read_twice(data: bytes, cuts: list[int]) -> None:
    cuts = sorted(cut for cut in cuts if cut <= len(data))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert b"".join(each.raw for each in read(*pieces)) == data


names = st.text("abcXYZ-_123", min_size=1, max_size=10).map(lambda name: "X-" + name)


@given(
    body=st.binary(max_size=100),
    headers=st.lists(st.tuples(names, st.text("abc 123;=,é", max_size=20).map(str.strip))),
    chunked=st.booleans(),
)
def test_what_h11_writes_is_read_whole_and_has_no_problem(
    body: bytes, headers: list[tuple[str, str]], chunked: bool
) -> None:
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
    wire = h11.Connection(h11.CLIENT)
    pairs = [("Host", "mock"), framing, *headers]
    raw = wire.send(
        h11.Request(
            method="POST",
            target="/h/1",
            headers=[(name.encode(), value.encode("latin-1")) for name, value in pairs],
        )
    )
    assert raw is not None
    for event in ([h11.Data(data=body)] if body else []) + [h11.EndOfMessage()]:
        raw += wire.send(event) or b""
    (request,) = read(raw)
    assert request.head is not None
    assert (request.body, request.whole, request.raw) == (body, True, raw)
    assert [value for _, value in request.head.headers[2:]] == [
        value.encode("latin-1") for _, value in headers
    ]
    assert problems(raw) == []


@pytest.mark.parametrize(
    ("raw", "template"),
    [
        pytest.param(
            "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 4\r\n\r\n{燈}".encode(),
            "the body is {size} bytes, and Content-Length says {length}",
            id="length in characters",
        ),
        pytest.param(
            PLAIN.replace(b"\r\n", b"\n"),
            "a line of the head ends with LF, without CR",
            id="bare LF",
        ),
        pytest.param(
            PLAIN.replace(b"Host: mock", b"Content-Type: a\r\nHost: mock\r\nContent-Type: b"),
            "{count} {name} headers",
            id="two content types",
        ),
        pytest.param(PLAIN.replace(b"Host: mock\r\n", b""), "no {name} header", id="no host"),
        pytest.param(
            PLAIN.replace(b"Host: mock", b"Host: mock\r\nHost: mock"),
            "{count} {name} headers",
            id="two hosts",
        ),
        pytest.param(
            PLAIN.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"),
            "{count} Content-Length headers",
            id="two lengths",
        ),
        pytest.param(
            PLAIN.replace(b": 2", b": two"),
            "Content-Length is {value}, not a number",
            id="length in words",
        ),
        pytest.param(
            CHUNKED.replace(b"Host: mock", b"Host: mock\r\nContent-Length: 9"),
            "both Content-Length and Transfer-Encoding",
            id="both",
        ),
        pytest.param(
            CHUNKED.replace(b"1\r\n{\r\n", b"1\r\n{"),
            "a chunk does not end with CRLF",
            id="chunk without an end",
        ),
        pytest.param(
            CHUNKED.replace(b"1\r\n{\r\n", b"x\r\n{\r\n"),
            "not the size of a chunk: {line}",
            id="no chunk size",
        ),
        pytest.param(
            CHUNKED + b"more", "{count:,} bytes follow the last chunk", id="more after the chunks"
        ),
        pytest.param(
            CHUNKED[:-2] + b"\n", "a chunk does not end with CRLF", id="LF after the chunks"
        ),
        pytest.param(
            PLAIN.replace(b"Host: mock", b"Host: mock\r\n more"),
            "a header is folded over two lines: {line}",
            id="folded",
        ),
        pytest.param(
            PLAIN.replace(b"Host:", b"Host :"), "not a header: {line}", id="space before the colon"
        ),
        pytest.param(
            PLAIN.replace(b"Host: mock", b"Host: mock\r\nX: a\0b"),
            "a control character in the header {name}",
            id="NUL in a header",
        ),
        pytest.param(
            PLAIN.replace(b"/h/1", b"/h/ 1"),
            "a character in the request line that must be percent-encoded: {target}",
            id="space in the target",
        ),
        pytest.param(
            PLAIN.replace(b"Host:", b"X: " + b"x" * LONGEST_HEAD + b"\r\nHost:"),
            "the head is longer than {limit:,} bytes",
            id="long head",
        ),
        pytest.param(
            PLAIN[:30] + b"x" * LONGEST_HEAD,
            "the head is longer than {limit:,} bytes",
            id="endless head",
        ),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not HTTP/1.x: {start}", id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", "not HTTP/1.x: {start}", id="TLS"),
    ],
)
def test_what_is_wrong_with_the_form_is_named(raw: bytes, template: str) -> None:
    assert template in templates(raw)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(PLAIN, id="length"),
        pytest.param(CHUNKED, id="chunks"),
        pytest.param(CHUNKED.replace(b"\r\n0", b"\r\n" + b"0" * 9), id="a size of nine digits"),
        pytest.param(PLAIN[:-1], id="cut"),
        pytest.param(CHUNKED[:-30], id="cut in chunks"),
        pytest.param(b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", id="HTTP/1.0 without a host"),
        pytest.param(b"HEAD / HTTP/1.1\r\nhost: m\r\n\r\n", id="no body"),
        pytest.param(PLAIN[:30], id="cut in the head"),
        pytest.param(b"POS", id="cut in the method"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_well_formed_request_has_no_problem(raw: bytes) -> None:
    assert problems(raw) == []


def test_the_bytes_after_a_body_that_is_too_long_belong_to_it() -> None:
    late = PLAIN.replace(b"{}", b'{"a')
    (first, second) = read(late, b'":1}' + PLAIN)
    assert (first.raw, first.body) == (late + b'":1}', b'{"a":1}')
    assert second.raw == PLAIN


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(PLAIN.replace(b": 2", b": 5000")[:-2], id="length"),
        pytest.param(CHUNKED.partition(b"1\r\n{")[0] + b"7fffffff\r\n", id="one chunk"),
    ],
)
def test_a_body_past_the_limit_is_not_read_further(head: bytes) -> None:
    reader = RequestReader(LIMIT)
    reader.receive(head + b"x" * (LIMIT + 1))
    request = reader.next()
    assert request is not None
    assert len(request.body) == LIMIT + 1


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"x" * (LONGEST_HEAD + 1), id="head"),
        pytest.param(CHUNKED[:-15] + b"a: b\r\n" * LONGEST_HEAD, id="trailer"),
    ],
)
def test_what_does_not_end_is_not_read_for_ever(endless: bytes) -> None:
    reader = RequestReader(LIMIT)
    reader.receive(endless)
    request = reader.next()
    assert request is not None
    assert not request.whole
