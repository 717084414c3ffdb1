"""The reference receiver over real HTTP, with clients and signatures that share no code with it."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from conformance.receiver import behaviour as steps
from conformance.receiver.app import ENDPOINT
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import PREVIEW
from conformance.storage.commits import NotStoredError
from tests.patience import PATIENCE
from tests.receiver.parts import (
    NOW,
    SECRET,
    Lines,
    body,
    count,
    get,
    head,
    post,
    receiver,
    signature,
    signed,
)


async def test_a_signed_message_is_answered_200_and_takes_effect() -> None:
    async with receiver() as base:
        response = await post(base, body())
        assert (response.status, response.json) == (200, {"status": "success"})
        assert await count(base) == 1


async def test_a_repeat_is_answered_200_and_takes_no_effect() -> None:
    async with receiver() as base:
        await post(base, body())
        response = await post(base, body())
        assert (response.status, response.json) == (
            200,
            {"status": "success", "message": "duplicate"},
        )
        assert await count(base) == 1


async def test_a_repeat_stamped_and_signed_afresh_takes_no_effect() -> None:
    async with receiver() as base:
        await post(base, body())
        later = body(timestamp=NOW + 9)
        assert (await post(base, later, signed(later, b"%d" % (NOW + 9)))).status == 200
        assert await count(base) == 1


async def test_one_of_fifty_copies_at_once_takes_effect() -> None:
    async with receiver() as base:
        response = await asyncio.gather(*(post(base, body()) for _ in range(50)))
        assert {each.status for each in response} == {200}
        assert await count(base) == 1


ACCEPTED = {
    "unlisted-type": body(msgType=9999),
    "object-content": body(msgType=49, content={"title": "A"}),
    "unknown-field": body(extra={"list": [1, None, {}]}),
    "wrong-types": body(key=5, timestamp="x", fromUser={}, msgType=[], content=None, isSelfMsg=0),
    "only-an-id": b'{"msgId":"1"}',
    "escapes": json.dumps(json.loads(body())).encode(),
    "pretty-crlf": json.dumps(json.loads(body()), indent=2).encode().replace(b"\n", b"\r\n"),
    "spaces-around": b" \n" + body() + b"\r\n",
    "big-integer": body(sequence=2**64),
    "nul-and-controls": body(content="\0\x01\x7f\x85 \u202eabc"),
    "lone-surrogate": body().replace("燈".encode(), rb"\ud83d"),
    "another-key-twice": body().replace(b"{", b'{"content":"x",', 1),
    "a-nested-id-twice": body().replace(b'"msgType"', b'"x":{"msgId":1,"msgId":2},"msgType"'),
    "100-KiB": body(content="A" * 102401),
    "5-MiB": body(content="A" * 5 * 1024 * 1024),
}


@pytest.mark.parametrize("content", [pytest.param(v, id=k) for k, v in ACCEPTED.items()])
async def test_a_signed_message_is_accepted_whatever_else_it_holds(content: bytes) -> None:
    async with receiver() as base:
        assert (await post(base, content)).status == 200
        assert await count(base) == 1


REFUSED = {
    "empty": b"",
    "not-json": b"msgId=1",
    "cut-short": body()[:-20],
    "trailing-comma": body()[:-1] + b",}",
    "not-a-number": body()[:-1] + b',"x":NaN}',
    "array": b"[]",
    "string": b'"msgId"',
    "null": b"null",
    "not-utf8": body().replace("燈".encode(), b"\xff\xfe"),
    "utf-16": body().decode().encode("utf-16"),
    "deep-nesting": body()[:-1] + b',"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "endless-integer": body()[:-1] + b',"x":' + b"9" * 5000 + b"}",
    "no-id": b'{"msgType":1}',
    "empty-id": b'{"msgId":""}',
    "null-id": b'{"msgId":null}',
    "number-id": b'{"msgId":1}',
    "object-id": b'{"msgId":{"1":1}}',
    "surrogate-id": rb'{"msgId":"\ud83d"}',
    "id-twice": b'{"msgId":"1","x":{},"msgId":"1"}',
}


@pytest.mark.parametrize("content", [pytest.param(v, id=k) for k, v in REFUSED.items()])
async def test_a_signed_body_that_is_not_a_message_is_answered_400(content: bytes) -> None:
    async with receiver() as base:
        response = await post(base, content)
        assert (response.status, response.json["status"]) == (400, "error")
        assert await count(base) == 0


def changed(**lines: list[bytes]) -> Lines:
    """The valid headers of `body()`, with those of `lines` replaced, as in `Signature=[…]`."""
    rest = [line for line in signed(body()) if line[0].removeprefix("X-Webhook-") not in lines]
    return rest + [(f"X-Webhook-{name}", value) for name, all_ in lines.items() for value in all_]


RIGHT = signature(body())
FORGED: dict[str, Lines] = {
    "wrong-secret": changed(Signature=[signature(body(), secret="another")]),
    "other-body": changed(Signature=[signature(body("2"))]),
    "other-timestamp": changed(Timestamp=[b"%d" % (NOW + 1)]),
    "no-signature": changed(Signature=[]),
    "no-timestamp": changed(Timestamp=[]),
    "neither": changed(Signature=[], Timestamp=[]),
    "empty-signature": changed(Signature=[b""]),
    "truncated": changed(Signature=[RIGHT[:32]]),
    "overlong": changed(Signature=[RIGHT + b"00"]),
    "non-hex": changed(Signature=[b"z" * 64]),
    "non-ascii": changed(Signature=[b"\xc3\xa9\xff" + RIGHT[3:]]),
    "signature-twice-wrong-first": changed(Signature=[b"0" * 64, RIGHT]),
    "signature-twice-wrong-last": changed(Signature=[RIGHT, b"0" * 64]),
    "signature-twice-right": changed(Signature=[RIGHT, RIGHT]),
    "timestamp-twice": changed(Timestamp=[b"%d" % NOW, b"%d" % NOW]),
    **{
        f"signed-{name}": signed(body(), stamp)
        for name, stamp in {
            "stale": b"%d" % (NOW - 301),
            "ahead": b"%d" % (NOW + 301),
            "milliseconds": b"%d000" % NOW,
            "letters": b"abc",
            "sign": b"+%d" % NOW,
            "fraction": b"%d.5" % NOW,
            "space-inside": b"%d 0" % NOW,
            "other-digits": "１７６９８４５８００".encode(),
            "empty-timestamp": b"",
            "5000-digits": b"9" * 5000,
        }.items()
    },
}


@pytest.mark.parametrize("lines", [pytest.param(v, id=k) for k, v in FORGED.items()])
async def test_an_invalid_stale_or_ambiguous_signature_is_answered_401(lines: Lines) -> None:
    async with receiver() as base:
        response = await post(base, body(), lines)
        assert (response.status, response.json["status"]) == (401, "error")
        assert await count(base) == 0


async def test_a_forgery_of_a_known_id_is_answered_401() -> None:
    async with receiver() as base:
        await post(base, body())
        assert (await post(base, body(), changed(Signature=[b"0" * 64]))).status == 401


async def test_the_id_of_a_refused_request_is_still_new_afterwards() -> None:
    async with receiver() as base:
        await post(base, body(), changed(Signature=[b"0" * 64]))
        await post(base, body()[:-1] + b",}")
        assert "message" not in (await post(base, body())).json
        assert await count(base) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_method_is_answered_405(method: str) -> None:
    async with receiver() as base:
        response = await post(base, body(), method=method)
        assert (response.status, response.headers["Allow"]) == (405, "POST")
        assert await count(base) == 0


async def test_a_body_past_the_limit_is_answered_413() -> None:
    async with receiver(ReceiverBehaviour(limit=1000)) as base:
        large = body(content="A" * 1000)
        assert (await post(base, large)).status == 413


async def test_a_chunked_body_past_the_limit_is_answered_413() -> None:
    async with receiver(ReceiverBehaviour(limit=1000)) as base:
        chunks = b"3e8\r\n" + b"A" * 1000 + b"\r\n" + b"1\r\nA\r\n0\r\n\r\n"
        answer = await talk(base, head(("Transfer-Encoding", b"chunked")) + chunks)
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_the_signature_is_over_a_compressed_body_as_received() -> None:
    async with receiver() as base:
        packed = gzip.compress(body())
        encoding = ("Content-Encoding", b"gzip")
        assert (await post(base, packed, [encoding, *signed(packed)])).status == 400
        assert (await post(base, packed, [encoding, *signed(body())])).status == 401


async def talk(
    base: str, request: bytes, *, leave: bool = False, until: bytes | None = None
) -> bytes:
    """Send bytes as they are, close the sending side if `leave`, and read up to `until`, or to the
    end."""
    url = urlsplit(base)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(request)
    await writer.drain()
    if leave:
        writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        answer = await (reader.readuntil(until) if until else reader.read())
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("length", "sent"),
    [
        pytest.param(len(body()), body()[:-9], id="cut"),
        pytest.param(len(body()) + 9, body(), id="overlong"),
    ],
)
async def test_a_connection_that_ends_in_mid_body_processes_nothing(
    length: int, sent: bytes
) -> None:
    async with receiver() as base:
        start = head(("Content-Length", b"%d" % length))
        assert await talk(base, start + sent, leave=True) == b""
        assert await count(base) == 0
        assert (await post(base, body())).json == {"status": "success"}


async def test_a_chunked_body_that_ends_early_processes_nothing() -> None:
    async with receiver() as base:
        start = head(("Transfer-Encoding", b"chunked"))
        await talk(base, start + b"%x\r\n%b\r\n" % (len(body()), body()), leave=True)
        assert await count(base) == 0


async def test_a_garbled_chunk_is_answered_4xx() -> None:
    async with receiver() as base:
        answer = await talk(base, head(("Transfer-Encoding", b"chunked")) + b"zz\r\n{}\r\n")
        assert answer.split(b" ")[1] == b"400"


async def test_a_body_that_stalls_is_answered_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "STALL", 0.05)
    async with receiver() as base:
        answer = await talk(
            base, head(("Content-Length", b"999")) + body(), until=b"did not arrive"
        )
        assert answer.split(b" ")[1] == b"408"
        assert await count(base) == 0


async def test_a_connection_serves_one_message_after_another() -> None:
    def three(base: str) -> Iterator[int]:
        with closing(
            http.client.HTTPConnection(urlsplit(base).netloc, timeout=PATIENCE)
        ) as connection:
            for number in "123":
                content = body(number)
                connection.request("POST", ENDPOINT, content, dict(signed(content)))
                with connection.getresponse() as answer:
                    answer.read()
                yield answer.status

    async with receiver() as base:
        assert await asyncio.to_thread(list, three(base)) == [200, 200, 200]


@pytest.mark.parametrize("msg_id", ["a b+c", "100%", "a&msgId=2", "a\0b", "𓀀燈", "'; --"])
async def test_the_observer_finds_an_id_of_any_text(msg_id: str) -> None:
    async with receiver() as base:
        assert (await post(base, body(msg_id))).status == 200
        assert await count(base, msg_id) == 1


@pytest.mark.parametrize(
    "target",
    ["/processed", "/processed?msgId="]
    + [f"/deliveries?limit={limit}" for limit in ("0", "1001", "x", "0000000011", "9" * 5000)],
)
async def test_a_malformed_query_is_answered_400(target: str) -> None:
    async with receiver() as base:
        assert (await get(base, target)).status == 400


async def test_the_deliveries_are_listed_newest_first() -> None:
    async with receiver() as base:
        for number in "123":
            await post(base, body(number))
        listed = (await get(base, "/deliveries?limit=2")).json
        assert [each["msgId"] for each in listed] == ["3", "2"]
        assert listed[0] == {
            "msgId": "3", "received": NOW, "size": len(body("3")), "fits": True,
            "body": body("3").decode(),
        }  # fmt: skip


WRITTEN = {
    "bare": SECRET,
    "escaped": json.dumps(SECRET)[1:-1],
    "in-a-url": quote(SECRET),
    "across-the-cut": "x" * (PREVIEW - 190) + SECRET,
}


@pytest.mark.parametrize("content", [pytest.param(v, id=k) for k, v in WRITTEN.items()])
async def test_the_deliveries_are_listed_without_the_secret(content: str) -> None:
    secret_holding = body("1 " + SECRET, content="@").replace(b"@", content.encode())
    async with receiver() as base:
        for each in (body(), secret_holding):
            assert (await post(base, each)).status == 200
        response = await get(base, "/deliveries")
        newest, untouched = response.json
    assert newest["msgId"] == "1 (secret)"
    assert "(secret)" in newest["body"].split('"content"')[1]
    for word in ("lighthouse, ", "lighthouse%2C", "a light"):
        assert word not in newest["body"]
    assert untouched["body"] == body().decode()


async def test_a_message_outside_the_schema_is_accepted_and_marked() -> None:
    async with receiver() as base:
        odd = json.dumps({**json.loads(body("1")), "isSelfMsg": "no"}).encode()
        assert (await post(base, odd)).status == 200
        assert [each["fits"] for each in (await get(base, "/deliveries")).json] == [False]


def _raise(fault: Exception) -> Callable[..., Any]:
    def step(*arguments: object) -> Any:
        raise fault

    return step


async def test_a_message_that_cannot_be_stored_is_answered_503() -> None:
    async with receiver(
        replace(ReceiverBehaviour(), store=_raise(NotStoredError("disk full")))
    ) as base:
        assert (await post(base, body())).status == 503


async def test_no_answer_reveals_secret_signature_path_or_traceback() -> None:
    asyncio.get_running_loop().set_debug(True)  # in which aiohttp shows tracebacks
    crashing = replace(ReceiverBehaviour(), process=_raise(RuntimeError(SECRET)))
    async with receiver(crashing) as broken, receiver() as base:
        answers = [await post(broken, body())]
        answers += [await post(base, body(), lines) for lines in FORGED.values()]
        answers += [await post(base, content) for content in REFUSED.values()]
        answers += [await get(base, target) for target in ("/", "/deliveries", "/nowhere")]
    assert answers[0].status == 500
    output = b"\n".join(each.body + str(each.headers).encode() for each in answers)
    rights = [signature(content) for content in REFUSED.values()]
    for hidden in (SECRET.encode(), RIGHT, *rights, b"Traceback", b".py", __file__.encode()):
        assert hidden not in output
