"""Each faulty sender does what it says, and the correct one does not.

A fault is shown by a question about a sender, which the faulty one answers with yes and the correct one
with no. Whether the suite finds it is for the matrix.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import certificates
from conformance.config import MASK
from conformance.delivery import Backoff
from conformance.dialect import parse_template, verify
from conformance.dialect_file import load
from conformance.exchange import Exchange
from conformance.forms import ascii_only, compact
from conformance.gallery.senders.peer import FaultySender
from conformance.gallery.senders.peers import FAULTY
from conformance.gallery.senders.serve import PROCESSES, as_process, in_process
from conformance.receiver.mock import Scripted
from tests.gallery_parts import SECRET, Driven, driven, event, header, message, waits

GUIDE = load("guide")
AT_A_TIME = 12
CORRECT = FaultySender("correct", "", ())

TEXT = "  <b>燈塔</b> & 🗼\u200f "
FAR = int(time.time()) - 1000


def signed(
    attempt: Exchange, body: bytes | None = None, template: str = "{timestamp}:{body}"
) -> bool:
    dialect = replace(GUIDE, parts=parse_template(template))
    stamp, signature = (
        header(attempt, name).encode() for name in (GUIDE.timestamp_header, GUIDE.signature_header)
    )
    return verify(dialect, SECRET, stamp, attempt.request.body if body is None else body, signature)


def stamp(attempt: Exchange) -> str:
    return header(attempt, GUIDE.timestamp_header)


def signature(attempt: Exchange) -> str:
    return header(attempt, GUIDE.signature_header)


def is_old(attempt: Exchange) -> bool:
    return time.time() - int(stamp(attempt)) > 3000


ON_THE_WIRE: dict[str, Callable[[Exchange, Exchange], bool]] = {
    "sends-by-get": lambda first, retry: first.request.method == "GET",
    "sends-by-put": lambda first, retry: first.request.method == "PUT",
    "text-plain": lambda first, retry: header(first, "Content-Type").startswith("text/plain"),
    "form-type": lambda first, retry: "form" in header(first, "Content-Type"),
    "milliseconds": lambda first, retry: (
        bool(re.fullmatch(r"\d{13}", stamp(first))) and signed(first)
    ),
    "fractional-seconds": lambda first, retry: "." in stamp(first) and signed(first),
    "iso-time": lambda first, retry: "T" in stamp(first) and signed(first),
    "upper-case-signature": lambda first, retry: signature(first) != signature(first).lower(),
    "base64-signature": lambda first, retry: (
        signature(first).endswith("=") and len(base64.b64decode(signature(first))) == 32
    ),
    "prefixed-signature": lambda first, retry: signature(first).startswith("sha256="),
    "colon-missing": lambda first, retry: signed(first, template="{timestamp}{body}"),
    "signs-the-body-alone": lambda first, retry: signed(first, template="{body}"),
    "encodes-twice": lambda first, retry: (
        not signed(first) and signed(first, compact(message(first)))
    ),
    "signs-escaped-text": lambda first, retry: signed(first, ascii_only(message(first))),
    "clock-an-hour-behind": lambda first, retry: is_old(first),
    "retries-an-hour-behind": lambda first, retry: is_old(retry) and not is_old(first),
    "body-time-in-milliseconds": lambda first, retry: message(first)["timestamp"] > 10**12,
    "body-time-of-creation": lambda first, retry: message(first)["timestamp"] == FAR,
    "cut-by-characters": lambda first, retry: not first.request.body.endswith(b"}"),
    "empty-on-retry": lambda first, retry: bool(first.request.body) and not retry.request.body,
    "retries-unsigned": lambda first, retry: signed(first) and not signature(retry),
    "new-id-on-retry": lambda first, retry: message(first)["msgId"] != message(retry)["msgId"],
    "signature-kept": lambda first, retry: signed(first) and not signed(retry),
}
"""What is seen of the first attempt and a retry, more than a second later."""

AS_GIVEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "id-as-number": lambda sent: isinstance(sent["msgId"], int),
    "type-as-text": lambda sent: sent["msgType"] == "1",
    "time-as-text": lambda sent: isinstance(sent["createTime"], str),
    "flags-as-numbers": lambda sent: sent["isSelfMsg"] is not False,
    "false-left-out": lambda sent: "isHistory" not in sent,
    "users-wrapped": lambda sent: not isinstance(sent["fromUser"], str),
    "trims-text": lambda sent: sent["content"].startswith("<b>"),
    "escapes-html": lambda sent: "&lt;b&gt;" in sent["content"],
    "strips-direction-marks": lambda sent: "\u200f" not in sent["content"],
    "loses-emoji": lambda sent: "🗼" not in sent["content"],
    "cuts-long-text": lambda sent: len(sent["content"]) < 5000,
    "id-through-a-double": lambda sent: sent["msgId"].endswith("000"),
}
"""What is seen of a long text."""

OF_A_LINK: dict[str, Callable[[Any], object]] = {
    "link-as-xml": lambda content: isinstance(content, str),
    "link-without-url": lambda content: "url" not in content and content["title"],
}

OF_TESTS: dict[str, Callable[[Exchange, Exchange], object]] = {
    "tests-unsigned": lambda one, other: not signature(one),
    "test-created-in-milliseconds": lambda one, other: message(one)["createTime"] > 10**12,
    "test-id-fixed": lambda one, other: message(one)["msgId"] == message(other)["msgId"],
    "test-pings": lambda one, other: "msgId" not in message(one),
}

ATTEMPTS: dict[str, tuple[int, list[int | Scripted], dict[str, int]]] = {
    "any-2xx-delivers": (1, [204, 200], {}),
    "below-400-delivers": (1, [302, 200], {}),
    "4xx-is-final": (1, [404, 200], {}),
    "reads-the-answer": (4, [Scripted(200, body=b'{"status": "error"}')], {}),
    "expects-json": (4, [Scripted(200, body=b"<p>ok</p>")], {}),
    "timeout-is-final": (1, [Scripted(fault="hang"), 200], {"Timeout": 1}),
    "fault-is-final": (1, [Scripted(fault="reset"), 200], {}),
    "reset-is-final": (1, [Scripted(fault="reset"), 200], {}),
    "head-is-enough": (1, [Scripted(fault="drip", delay=1.5), 200], {"Timeout": 1}),
    "count-is-attempts": (3, [500], {}),
    "one-retry-more": (5, [500], {}),
    "no-retries-is-three": (4, [500], {"RetryCount": 0}),
    "faults-for-free": (5, [Scripted(fault="reset"), 500], {}),
    "one-deadline-for-all": (2, [Scripted(500, delay=0.7)], {"Timeout": 1}),
    "timer-left-running": (3, [500, 200], {}),
    "waits-for-ever": (1, [Scripted(delay=1.5), 200], {"Timeout": 1}),
    "gives-up-early": (2, [Scripted(delay=3.5), 200], {}),
    "timeout-in-milliseconds": (4, [Scripted(delay=0.5)], {"Timeout": 30}),
}
"""How many attempts are made of a message that is answered so."""

WAITS = {
    "linear-waits": [4, 8, 12, 16],
    "constant-waits": [4, 4, 4, 4],
    "no-waits": [0, 0, 0, 0],
    "shrinking-waits": [16, 8, 4, 2],
    "random-waits": [4, 4, 4, 4],
    "waits-grow-slowly": [4, 4.8, 5.76, 6.912],
}
"""Seconds after each attempt, with a draw in the middle of the jitter."""

WRONGLY_DELIVERED = {
    "types-ignored": ("text", {"MessageTypes": ["3"]}),
    "types-by-substring": ("image", {"MessageTypes": ["34", "43"]}),
    "system-messages-always": ("system", {"MessageTypes": ["1"]}),
    "own-messages-always": ("self", {}),
    "disabled-delivers": ("text", {"Enabled": False}),
}
NOT_DELIVERED = {
    "links-by-subtype": ("link", {}),
    "star-unknown": ("text", {"MessageTypes": ["*"]}),
    "own-messages-never": ("self", {"IncludeSelfMessage": True}),
    "groups-dropped": ("group", {}),
}
"""Which kind of message, under which settings."""

Shown = Callable[[Driven], Awaitable[object]]


def on_the_wire(seen: Callable[[Exchange, Exchange], bool]) -> Shown:
    async def shown(here: Driven) -> object:
        given = event(content=TEXT, createTime=FAR)
        first, retry, *_ = await here.deliver(Scripted(500, delay=1.1), 200, given=given)
        return seen(first, retry)

    return shown


def as_given(seen: Callable[[dict[str, Any]], object]) -> Shown:
    async def shown(here: Driven) -> object:
        (only,) = await here.deliver(200, given=event(content=TEXT * 500))
        return seen(message(only))

    return shown


def of_a_link(seen: Callable[[Any], object]) -> Shown:
    async def shown(here: Driven) -> object:
        (only,) = await here.deliver(200, given=event("link"))
        return seen(message(only)["content"])

    return shown


def of_tests(seen: Callable[[Exchange, Exchange], object]) -> Shown:
    async def shown(here: Driven) -> object:
        hook = await here.configure(200)
        told = [await here.call("GET", "Test") for _ in range(2)]
        assert [each["data"]["Success"] for each in told] == [True, True]
        return seen(*hook.arrivals)

    return shown


def attempts(expected: int, script: list[int | Scripted], fields: dict[str, int]) -> Shown:
    async def shown(here: Driven) -> object:
        return len(await here.deliver(*script, **fields)) == expected

    return shown


def delivered(kind: str, fields: dict[str, object], arrives: int) -> Shown:
    async def shown(here: Driven) -> object:
        return len(await here.deliver(200, given=event(kind), **fields)) == arrives

    return shown


async def update_needs_restart(here: Driven) -> object:
    hook = await here.configure(200, MessageTypes=["1"])
    await here.emit(event())
    await here.settled()
    await here.call("PUT", "Update", {"URL": hook.url, "MessageTypes": ["3"]})
    await here.emit(event())
    await here.settled()
    return len(hook.arrivals) == 2


async def one_secret_for_all(here: Driven) -> object:
    await here.configure(200)
    other = await here.configure(200, Secret="another")
    await here.emit(event())
    await here.settled()
    return signed(other.arrivals[0])


async def newest_served_alone(here: Driven) -> object:
    hooks = [await here.configure(200) for _ in range(2)]
    await here.emit(event())
    await here.settled()
    return [len(hook.arrivals) for hook in hooks] == [0, 1]


def led_on(status: int) -> Shown:
    async def shown(here: Driven) -> object:
        other = here.mock.endpoint()
        redirect = Scripted(status, headers=(("Location", other.url),))
        await here.deliver(redirect, 200)
        return other.arrivals

    return shown


async def retry_after_ignored(here: Driven) -> object:
    first, retry = await here.deliver(Scripted(503, headers=(("Retry-After", "1"),)), 200)
    return waits([first, retry])[0] < 0.9


async def workers_shared(here: Driven) -> object:
    await here.configure(Scripted(fault="hang"), MessageTypes=["3"], RetryCount=0, Timeout=1)
    hook = await here.configure(200)
    await here.emit(*(event("image") for _ in range(8)))
    await here.emit(late := event())
    begin = time.monotonic()
    while late["msgId"] not in {each.msg_id for each in hook.arrivals}:
        await hook.changed(10)
    return time.monotonic() - begin > 0.5


async def collects_first(here: Driven) -> object:
    begin = time.monotonic()
    await here.deliver(200)
    return time.monotonic() - begin > 2


async def delivers_twice(here: Driven) -> object:
    given = event()
    hook = await here.configure(200)
    await here.emit(given)
    await here.emit(given)
    await here.settled()
    return len(hook.arrivals) == 2


async def loses_some(here: Driven) -> object:
    hook = await here.configure(500, 200)
    given = [event() for _ in range(200)]
    await here.emit(*given)
    await here.settled()
    arrived = [each.msg_id for each in hook.arrivals if each.answer and each.answer.status == 200]
    assert len(arrived) == len(set(arrived))
    return len(arrived) < len(given)


async def lists_milliseconds(here: Driven) -> object:
    hook = await here.configure(200, Timeout=7)
    return (await here.listed(hook.url))["Timeout"] == 7000


async def accepts_anything(here: Driven) -> object:
    return (await here.settings("ftp://example.test/hook"))["code"] == 0


async def validates_too_late(here: Driven) -> object:
    url = "ftp://example.test/hook"
    told = await here.settings(url)
    return told["code"] == 400 and await here.listed(url)


async def update_ignored(here: Driven) -> object:
    hook = await here.configure(200, Timeout=7)
    told = await here.call("PUT", "Update", {"URL": hook.url, "Timeout": 8})
    return told["code"] == 0 and (await here.listed(hook.url))["Timeout"] == 7


async def update_resets(here: Driven) -> object:
    hook = await here.configure(200, Timeout=7)
    await here.call("PUT", "Update", {"URL": hook.url, "RetryCount": 8})
    return (await here.listed(hook.url))["Timeout"] == 10


async def secret_listed(here: Driven) -> object:
    hook = await here.configure(200)
    return (await here.listed(hook.url))["Secret"] != MASK


async def tells_success_only(here: Driven) -> object:
    hook = await here.configure(200)
    return (await here.call("GET", "Test"))["data"]["Success"] and not hook.arrivals


async def foretells_success(here: Driven) -> object:
    hook = await here.configure(500)
    return (await here.call("GET", "Test"))["data"]["Success"] and await here.arrived(hook)


async def says_failed_only(here: Driven) -> object:
    await here.configure(500)
    return (await here.call("GET", "Test"))["data"]["Message"] == "failed"


SHOWN: dict[str, Shown] = {
    **{name: on_the_wire(seen) for name, seen in ON_THE_WIRE.items()},
    **{name: as_given(seen) for name, seen in AS_GIVEN.items()},
    **{name: of_a_link(seen) for name, seen in OF_A_LINK.items()},
    **{name: of_tests(seen) for name, seen in OF_TESTS.items()},
    **{name: attempts(*expected) for name, expected in ATTEMPTS.items()},
    **{name: delivered(*given, arrives=1) for name, given in WRONGLY_DELIVERED.items()},
    **{name: delivered(*given, arrives=0) for name, given in NOT_DELIVERED.items()},
    "update-needs-restart": update_needs_restart,
    "one-secret-for-all": one_secret_for_all,
    "newest-served-alone": newest_served_alone,
    "follows-redirects": led_on(302),
    "follows-307-and-308": led_on(307),
    "retry-after-ignored": retry_after_ignored,
    "workers-shared": workers_shared,
    "collects-first": collects_first,
    "delivers-twice": delivers_twice,
    "queue-drops": loses_some,
    "retries-drop": loses_some,
    "lists-milliseconds": lists_milliseconds,
    "accepts-anything": accepts_anything,
    "validates-too-late": validates_too_late,
    "update-ignored": update_ignored,
    "update-resets": update_resets,
    "secret-listed": secret_listed,
    "test-sends-nothing": tells_success_only,
    "test-always-succeeds": foretells_success,
    "test-says-failed": says_failed_only,
}
BY_NAME = {sender.name: sender for sender in FAULTY}


def is_as_it_must(found: dict[tuple[str, bool], object], name: str, faulty: bool) -> bool:
    seen = found[name, faulty]
    return not isinstance(seen, BaseException) and bool(seen) is faulty


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest) -> dict[tuple[str, bool], object]:
    """What was seen of a faulty sender, and with False of the correct one: all side by side, and once more
    by itself what was not as it must be, since a busy machine is no fault of theirs."""
    asked = {
        (item.callspec.params["name"], item.callspec.params["faulty"])
        for item in request.session.items
        if item.path == request.path and "answers" in item.fixturenames
    }

    async def all_of_them() -> dict[tuple[str, bool], object]:
        places = asyncio.Semaphore(AT_A_TIME)

        async def seen(name: str, faulty: bool) -> object:
            sender = BY_NAME[name] if faulty else CORRECT
            async with places, in_process(sender) as served, driven(served) as here:
                return await SHOWN[name](here)

        together = await asyncio.gather(*(seen(*each) for each in asked), return_exceptions=True)
        found = dict(zip(asked, together, strict=True))
        wrong = [(name, faulty) for name, faulty in asked if not is_as_it_must(found, name, faulty)]
        for name, faulty in wrong:
            warnings.warn(
                f"{name} {faulty=} was seen by itself: {found[name, faulty]!r}", stacklevel=1
            )
            found[name, faulty] = (
                await asyncio.gather(seen(name, faulty), return_exceptions=True)
            )[0]
        return found

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("faulty", [True, False], ids=["faulty", "correct"])
@pytest.mark.parametrize("name", SHOWN)
def test_a_fault_is_seen_of_the_faulty_sender_alone(
    answers: dict[tuple[str, bool], object], name: str, faulty: bool
) -> None:
    seen = answers[name, faulty]
    if isinstance(seen, BaseException):
        raise seen
    assert bool(seen) is faulty


@pytest.mark.parametrize("name", WAITS)
def test_waits_are_those_that_the_fault_says(name: str) -> None:
    practice = BY_NAME[name].fresh()
    assert [practice.wait(Backoff(), n, 0.5) for n in range(1, 5)] == pytest.approx(WAITS[name])


def test_random_waits_are_random() -> None:
    wait = BY_NAME["random-waits"].fresh().wait
    assert wait(Backoff(), 1, 0.1) < wait(Backoff(), 5, 0.2) < wait(Backoff(), 2, 0.9)


@pytest.mark.parametrize(
    ("name", "trusted", "arrives"),
    [
        pytest.param(None, True, True, id="correct-trusted"),
        pytest.param(None, False, False, id="correct-untrusted"),
        pytest.param("https-as-http", True, False, id="https-as-http"),
        pytest.param("certificates-unchecked", False, True, id="certificates-unchecked"),
    ],
)
async def test_what_is_trusted_is_delivered_to(
    tmp_path: Path, name: str | None, trusted: bool, arrives: bool
) -> None:
    sender = BY_NAME[name] if name else CORRECT
    certificate, key = certificates.make(tmp_path)
    tls = certificates.given(certificate, key)
    async with (
        in_process(sender, certificate if trusted else None) as served,
        driven(served, tls) as here,
    ):
        assert len(await here.deliver(200, RetryCount=0)) == arrives


@pytest.mark.parametrize(
    ("name", "again", "waiting"),
    [
        pytest.param("kept-in-a-file", 0, 1, id="kept-in-a-file"),
        pytest.param("waiting-in-memory", 0, 0, id="waiting-in-memory"),
        pytest.param("attempts-in-memory", 0, 0, id="attempts-in-memory"),
        pytest.param("successes-in-memory", 1, 1, id="successes-in-memory"),
    ],
)
async def test_what_is_left_after_a_kill(name: str, again: int, waiting: int) -> None:
    sender = next(each for each in PROCESSES if each.name == name)
    async with as_process(sender) as served, driven(served) as here:
        hook = await here.configure(200, MessageTypes=["1"])
        late = await here.configure(503, MessageTypes=["3"], RetryCount=20)
        await here.emit(event(), event("image"))
        await here.kept(1)
        await here.arrived(late)
        delivered, attempted = len(hook.arrivals), len(late.arrivals)
        await here.restart()
        late.script([Scripted()])
        attempted = len(late.arrivals)
        await here.settled()
        assert len(hook.arrivals) - delivered == again
        assert (len(late.arrivals) > attempted) is bool(waiting)


def test_every_faulty_sender_is_shown() -> None:
    apart = {*WAITS, "https-as-http", "certificates-unchecked"}
    assert {sender.name for sender in FAULTY} == {*SHOWN, *apart}
    assert len(BY_NAME) == len(FAULTY)
