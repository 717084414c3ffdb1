"""The live page in real Chromium, over the reference receiver."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from conformance.api import wait_for
from conformance.live.page import LivePage
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver.app import ENDPOINT, Settings, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario.dialects import load
from conformance.storage.database import MEMORY
from tests.patience import PATIENCE
from tests.reporting.browser import PHONE, VIEWS, Pages, accessibility_faults, too_wide

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect
expect.set_options(timeout=1000 * PATIENCE)

SECRET = "the-secret-of-the-page"
EVIL = [
    pytest.param("<script>window.evil=1</script>", id="script"),
    pytest.param("</script><img src=http://evil.test/ onerror=window.evil=1>", id="image"),
    pytest.param("\"' onmouseover=window.evil=1 x='", id="attribute"),
    pytest.param("\u202egnp.exe\u2066", id="bidi"),
    pytest.param("a\0b\u2028c", id="nul"),
    pytest.param("長" * 50_000, id="very-long"),
    pytest.param("x" * 50_000, id="very-long-word"),
]


class Receiver:
    """The reference receiver, on the loop of a thread of its own, and a client that signs for it."""

    def __init__(self, port: int = 0) -> None:
        self._serving = AsyncExitStack()
        self.url = wait_for(self._start(port))
        self.address = urlsplit(self.url).netloc

    async def _start(self, port: int) -> str:
        signer = Signer(load("guide"), Secret(SECRET.encode()))
        inbox = await self._serving.enter_async_context(Inbox(MEMORY))
        return await self._serving.enter_async_context(
            serving(
                ReceiverBehaviour(),
                inbox,
                signer,
                Settings(port=port, follower=LivePage(signer, "127.0.0.1")),
            )
        )

    def stop(self) -> None:
        wait_for(self._serving.aclose())

    def send(self, *bodies: bytes, **headers: str) -> list[int]:
        """Deliver `bodies` on one connection; a fault gives 0."""
        found = []
        with closing(http.client.HTTPConnection(self.address, timeout=PATIENCE)) as connection:
            for body in bodies:
                stamp = b"%d" % time.time()
                given = {
                    "Content-Type": "application/json",
                    "X-Webhook-Timestamp": stamp.decode(),
                    "X-Webhook-Signature": mac(stamp + b":" + body),
                    **headers,
                }
                try:
                    connection.request("POST", ENDPOINT, body, given)
                    answer = connection.getresponse()
                    answer.read()
                    found.append(answer.status)
                except (OSError, http.client.HTTPException):
                    connection.close()
                    found.append(0)
        return found


def mac(text: bytes) -> str:
    return hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()


def body(msg_id: str, **fields: object) -> bytes:
    now = int(time.time())
    message = {
        "key": "wxid_a", "msgId": msg_id, "timestamp": now, "fromUser": "wxid_b",
        "toUser": "wxid_a", "msgType": 1, "content": "燈亮了", "isSelfMsg": False,
        "createTime": now, "isHistory": False,
    }  # fmt: skip
    return json.dumps({**message, **fields}, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.stop()


def rows(page: Any) -> Any:
    return page.locator("#list [role=option]:not([hidden])")


def test_deliveries_show_as_they_come_the_newest_first(receiver: Receiver, pages: Pages) -> None:
    receiver.send(body("41"))
    page = pages.open(receiver.url)
    expect(rows(page)).to_have_count(1)
    receiver.send(body("42"), body("43"))
    expect(rows(page).locator(".id")).to_have_text(["43", "42", "41"])
    expect(page.locator("#total")).to_have_text("3")


def test_a_page_over_nothing_says_where_deliveries_go(receiver: Receiver, pages: Pages) -> None:
    page = pages.open(receiver.url)
    expect(page.locator("#empty")).to_contain_text(receiver.url + ENDPOINT)
    receiver.send(body("1"))
    expect(page.locator("#empty")).to_be_hidden()


def test_a_wrong_signature_is_explained(receiver: Receiver, pages: Pages) -> None:
    page = pages.open(receiver.url)
    content, stamp = body("1"), str(int(time.time()))
    without = mac(stamp.encode() + content)
    receiver.send(content, **{"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": without})
    said = "signed with the secret, but without the colon"
    expect(rows(page).locator(".verdict")).to_have_text([said], use_inner_text=True)
    page.get_by_role("radio", name="中文").check(force=True)
    expect(rows(page).locator(".verdict")).to_have_text(
        ["以此密鑰簽名，但少了冒號"], use_inner_text=True
    )


def test_a_delivery_is_shown_whole(receiver: Receiver, pages: Pages) -> None:
    content = body("1", msgType="1")
    receiver.send(content, **{"X-Odd": "a\u200bb".encode().decode("latin-1")})
    page = pages.open(receiver.url)
    rows(page).first.click()
    expect(page.locator("#one-heading")).to_have_text("Delivery訊息 1")
    expect(page.locator("#one-signature")).to_contain_text("correctly signed")
    expect(page.locator("#one-body li")).to_have_text(["msgType must be an integer, not '1'"])
    expect(page.locator("#one-answer")).to_contain_text("200")
    expect(page.locator("#bytes")).to_contain_text(content.decode())
    expect(page.locator("#bytes i")).to_have_text([r"\u200b"])


def test_attempts_of_one_message_stand_together(receiver: Receiver, pages: Pages) -> None:
    page = pages.open(receiver.url)
    receiver.send(body("7"), body("8"), body("7"))
    expect(rows(page).locator(".attempt")).to_have_text(["×2", "", ""])
    rows(page).first.click()
    expect(page.locator("#attempt-list li")).to_have_count(2)
    assert page.locator("#drawing circle").count() == 2
    receiver.send(body("7"))
    expect(page.locator("#attempt-list li")).to_have_count(3)
    page.locator("#only").click()
    expect(rows(page).locator(".id")).to_have_text(["7", "7", "7"])
    page.locator("#attempt-list button").first.click()
    expect(page.locator("#one-number")).to_have_text("1")


CHOICES = {
    "right": ["3", "1", "1"],
    "wrong": ["2"],
    "misfit": ["3"],
    "not-200": ["2"],
    "repeated": ["1"],
}


def test_a_choice_filters(receiver: Receiver, pages: Pages) -> None:
    receiver.send(body("1"), body("1"))
    receiver.send(body("2"), **{"X-Webhook-Signature": "0" * 64})
    receiver.send(body("3", key=5))
    page = pages.open(receiver.url)
    for kind, left in CHOICES.items():
        expect(rows(page)).to_have_count(4)
        page.locator("[name=kind]").select_option(kind)
        expect(rows(page).locator(".id")).to_have_text(left)
        page.locator("#clear").click()
    expect(rows(page)).to_have_count(4)


def test_a_search_filters_what_is_there_and_what_comes(receiver: Receiver, pages: Pages) -> None:
    receiver.send(body("1", content="Lighthouse"), body("2"))
    page = pages.open(receiver.url)
    page.keyboard.press("/")
    page.keyboard.type("lighthouse")
    expect(rows(page).locator(".id")).to_have_text(["1"])
    receiver.send(body("3"), body("4", content="two lighthouses"))
    expect(rows(page).locator(".id")).to_have_text(["4", "1"])
    expect(page.locator("#count")).to_have_text("2")
    expect(page.locator("#total")).to_have_text("4")
    page.locator("[name=search]").fill("nothing like it")
    expect(page.locator("#nothing")).to_be_visible()


def test_the_list_is_walked_by_the_keyboard(receiver: Receiver, pages: Pages) -> None:
    receiver.send(*(body(str(number)) for number in range(1, 101)))
    page = pages.open(receiver.url)
    expect(page.locator("#total")).to_have_text("100")
    page.locator("#list").focus()
    for key, number in (("ArrowDown", "100"), ("ArrowDown", "99"), ("End", "1"), ("ArrowUp", "2")):
        page.keyboard.press(key)
        expect(page.locator("#one-number")).to_have_text(number)
    chosen = page.locator("[aria-selected=true]")
    assert page.locator("#list").get_attribute("aria-activedescendant") == chosen.get_attribute(
        "id"
    )
    assert chosen.get_attribute("aria-posinset") == "99"


def test_the_next_answers_are_scripted(receiver: Receiver, pages: Pages) -> None:
    page = pages.open(receiver.url)
    form = page.locator("#script")
    form.locator("[name=times]").fill("2")
    form.locator("[name=status]").select_option("503")
    form.get_by_role("button", name="Add").click()
    expect(page.locator("#waits")).to_have_text("2")
    form.locator("[name=times]").fill("1")
    form.locator("[name=status]").select_option("")
    form.locator("[name=fault]").select_option("close")
    form.get_by_role("button", name="Add").click()
    expect(page.locator("#waits")).to_have_text("3")
    assert receiver.send(body("1"), body("1"), body("1"), body("1")) == [503, 503, 0, 200]
    expect(rows(page).locator(".status")).to_have_text(["200", "close", "503", "503"])
    expect(page.locator("[data-waiting=none]")).to_be_visible()


def test_scripted_answers_are_forgotten(receiver: Receiver, pages: Pages) -> None:
    page = pages.open(receiver.url)
    form = page.locator("#script")
    form.locator("[name=status]").select_option("500")
    form.get_by_role("button", name="Add").click()
    form.locator("#forget").click()
    expect(page.locator("[data-waiting=none]")).to_be_visible()
    assert receiver.send(body("1")) == [200]


def test_a_refused_script_says_why(receiver: Receiver, pages: Pages) -> None:
    page = pages.open(receiver.url)
    for _ in range(11):
        page.locator("[name=times]").fill("1000")
        page.locator("#script").get_by_role("button", name="Add").click()
    expect(page.locator("#script-fault")).to_contain_text("10,000 answers would wait")
    assert [each for each in pages.faults if "400" not in each] == []
    pages.faults.clear()  # the browser tells of each answer that is no 2xx


def test_a_receiver_that_starts_again_is_found_again(pages: Pages) -> None:
    first = Receiver()
    try:
        first.send(body("1"), body("2"))
        page = pages.open(first.url)
        expect(rows(page)).to_have_count(2)
    finally:
        first.stop()
    expect(page.locator("[data-state=lost]")).to_be_visible()
    second = Receiver(int(first.address.rpartition(":")[2]))
    try:
        second.send(body("3"))
        expect(rows(page).locator(".id")).to_have_text(["3"])
        expect(page.locator("[data-state=live]")).to_be_visible()
    finally:
        second.stop()
    pages.faults.clear()  # that the connection was lost


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_stays_text(receiver: Receiver, pages: Pages, evil: str) -> None:
    receiver.send(
        body(evil, content=evil, fromUser=evil, msgType=evil),
        **{"X-Evil": evil.encode()[:5000].decode("latin-1").translate({0: "", 10: "", 13: ""})},
    )
    receiver.send(body(evil))
    page = pages.open(receiver.url)
    rows(page).last.click()
    expect(page.locator("#one-number")).to_have_text("1")
    page.locator("#only").click()
    assert page.evaluate("window.evil") is None
    assert page.locator("script, style, img, iframe, object, embed, link, base").count() == 2
    assert {urlsplit(each).netloc for each in pages.requested} == {receiver.address}
    assert too_wide(page) <= 0


def test_the_secret_never_reaches_the_page(receiver: Receiver, pages: Pages) -> None:
    receiver.send(body("1", content=SECRET), **{"X-Leak": SECRET})
    page = pages.open(receiver.url)
    with page.expect_response(lambda answer: "live/requests/" in answer.url) as told:
        rows(page).first.click()
    expect(page.locator("#bytes")).to_contain_text("(secret)")
    assert SECRET not in told.value.text() + page.content()


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_everyone_can_use_it_at_any_width(
    receiver: Receiver, pages: Pages, width: int, dark: bool
) -> None:
    receiver.send(body("1"), body("1"), body("2", key=5), b"{")
    receiver.send(body("3"), **{"X-Webhook-Signature": "0" * 64})
    page = pages.open(receiver.url, width=width, dark=dark)
    page.evaluate("document.getElementById('panel').open = true")
    expect(rows(page)).to_have_count(5)
    assert too_wide(page) <= 0
    rows(page).last.click()
    expect(page.locator("#attempts")).to_be_visible()
    assert too_wide(page) <= 0
    assert accessibility_faults(page) == []


def test_on_a_phone_a_chosen_delivery_comes_into_sight(receiver: Receiver, pages: Pages) -> None:
    receiver.send(*(body(str(number)) for number in range(50)))
    page = pages.open(receiver.url, width=PHONE, height=700)
    rows(page).first.click()
    expect(page.locator("#one-heading")).to_be_in_viewport()
    page.locator("#back").click()
    expect(page.locator("#list")).to_be_in_viewport()


SMOOTH = """async () => {
  const list = document.getElementById("list");
  const frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (let each = 0; each < 60; each++) {
    list.scrollTop += 700;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return frames.sort((a, b) => a - b)[30];
}"""


def flood(receiver: Receiver, first: int, last: int) -> None:
    """Deliver the messages `first` to `last`, some at a time."""
    with ThreadPoolExecutor(4) as pool:
        for start in range(first, last, 250):
            pool.submit(receiver.send, *(body(str(each)) for each in range(start, start + 250)))


def test_older_deliveries_stay_in_sight_while_new_ones_come(
    receiver: Receiver, pages: Pages
) -> None:
    flood(receiver, 0, 500)
    page = pages.open(receiver.url)
    expect(page.locator("#total")).to_have_text("500")
    assert page.locator("*").count() < 1000
    page.evaluate("document.getElementById('list').scrollTop = 40 * 200")
    seen = page.wait_for_function(SEEN).json_value()
    flood(receiver, 20_000, 20_250)
    expect(page.locator("#total")).to_have_text("750")
    expect(page.locator("#newest")).to_be_visible()
    expect(page.locator("#missed")).to_be_hidden()
    page.wait_for_timeout(0)
    assert page.wait_for_function(SEEN).json_value() == seen


@pytest.mark.soak
def test_ten_thousand_deliveries_do_not_slow_it_down(receiver: Receiver, pages: Pages) -> None:
    flood(receiver, 0, 10_000)
    page = pages.open(receiver.url)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    expect(page.locator("#total")).to_have_text("10,000")
    assert page.locator("*").count() < 1000
    # Many times of what it takes, for a busy machine: 0.2 s, and 17 ms a frame.
    assert scripting(session) < 4
    assert page.evaluate(SMOOTH) < 100
    page.locator("[name=search]").fill("999")
    expect(page.locator("#count")).to_have_text("19")
    page.locator("#clear").click()

    # Whoever reads older ones keeps them in sight while new ones come, and the oldest are let go.
    page.evaluate("document.getElementById('list').scrollTop = 40 * 500")
    seen = page.wait_for_function(SEEN).json_value()
    before = scripting(session)
    flood(receiver, 20_000, 21_000)
    expect(page.locator("#missed")).to_be_visible()
    expect(page.locator("#newest")).to_be_visible()
    page.wait_for_timeout(0)
    assert page.wait_for_function(SEEN).json_value() == seen
    assert scripting(session) - before < 4
    expect(page.locator("#total")).to_have_text("10,000")


SEEN = """() => {
  const list = document.getElementById("list").getBoundingClientRect();
  return document.elementFromPoint(list.x + 300, list.y + 120)?.closest("[role=option]")?.id;
}"""


def scripting(session: Any) -> float:
    """Seconds that the page's script has run."""
    found = session.send("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in found if each["name"] == "ScriptDuration")
