"""The report page in real Chromium: it filters, copies, switches, prints, and obeys nobody but itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conformance.api import wait_for
from conformance.engine.receiver.side import ReceiverSide
from conformance.engine.runner import Runner
from conformance.model.exchange import Answer, Exchange, Fault, Request, Role, Transport
from conformance.model.report import Report, Result
from conformance.model.rules import Level, Outcome, Rule, Verdict
from conformance.model.text import Text
from conformance.options.receiver import Options
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver import behaviour as behaviour
from conformance.receiver.app import ENDPOINT, OBSERVER, serving
from conformance.receiver.inbox import Inbox
from conformance.reporting import languages
from conformance.reporting.html.page import fragment, page
from conformance.scenario.dialects import load
from conformance.storage.database import MEMORY
from conformance.trace import Trace
from tests.reporting.browser import DESK, VIEWS, Pages, accessibility_faults, too_wide

LINE = "TS=$(date +%s); curl 'http://x/' \\\n  -d '{\"a\": \"燈\"}'"
EVIL = [
    pytest.param("<script>window.evil=1</script>", id="script"),
    pytest.param("</script><script>window.evil=1</script>", id="end-of-script"),
    pytest.param("</style><img src=http://evil.test/ onerror=window.evil=1>", id="end-of-style"),
    pytest.param("\" autofocus onfocus='window.evil=1' x='", id="attribute"),
    pytest.param("</template></details></main><svg onload=window.evil=1>", id="closing-tags"),
    pytest.param("<!--<script>", id="comment"),
    pytest.param("javascript:window.evil=1", id="url"),
    pytest.param("\u202egnp.exe\u2066", id="bidi"),
    pytest.param("a\0b\ufffe\x85\u2028", id="nul"),
    pytest.param("長" * 50_000, id="very-long"),
    pytest.param("x" * 50_000, id="very-long-word"),
]


def rule(id: str, title: str = "A changed body is refused") -> Rule:  # noqa: A002 - as Rule's own
    return Rule(
        id, Level.MUST, "驗證簽名", Text(title, f"中文 {title}"),
        Text("Anyone could forge it", "任何人都能偽造"), Text("Compare them", "比較簽名"),
    )  # fmt: skip


def exchange(number: int, sent: bytes = b'{"msgId":"1"}', got: bytes = b"fine") -> Exchange:
    request = Request("POST", "http://127.0.0.1:5000/hook", ((b"X-A", b"b"),), sent)
    return Exchange(
        number, Role.PROBE, None, None, 0, str(number), request, None,
        Answer(200, ((b"Server", b"test"),), got), None, "", 1.0, 1.0, 1.003,
    )  # fmt: skip


def attempts() -> list[Exchange]:
    """Four deliveries of one message, the waits doubling."""
    made, at = [], 10.0
    for number, wait in enumerate((1.0, 2.0, 4.0, 0.0), 101):
        request = Request("POST", "http://x/h", ((b"T", b"%d" % at),), b"{}", Transport.RAW)
        fault = Fault.TIMEOUT if number == 102 else None
        answer = None if fault else Answer(200 if number == 104 else 500, (), b"")
        made.append(
            Exchange(
                number, Role.ATTEMPT, None, None, 0, "77", request, None, answer, fault, "",
                at, at, at + 0.01,
            )
        )  # fmt: skip
        at += wait
    return made


def result(id: str, outcome: Outcome, **changes: Any) -> Result:  # noqa: A002 - as Rule's own
    made = Result(
        rule(id), None, Level.MUST, outcome, Text("answered 200", "回應 200"), exchanges=(1,)
    )
    return replace(made, **changes)


def report(*results: Result, exchanges: list[Exchange] | None = None, **changes: Any) -> Report:
    trace = Trace()
    trace.exchanges = exchanges or [exchange(1)]
    made = Report(
        side="receiver", target="http://127.0.0.1:5000/hook", dialect="guide", spoken="guide",
        seed=7, verdict=Verdict.FAIL, started="2026-11-24T02:00:00Z", seconds=1.8,
        results=results, trace=trace,
    )  # fmt: skip
    return replace(made, **changes)


def mixed() -> list[Report]:
    """Nine results of both sides."""
    receiver = report(
        result("receiver.signature.truncated", Outcome.FAIL, case="half", reproduce=LINE),
        result("receiver.signature.truncated", Outcome.FAIL, case="only-first", exchanges=(2,)),
        result("receiver.signature.refusal-status", Outcome.NOTE, level=Level.MAY, exchanges=()),
        result("receiver.body.empty", Outcome.WARN, level=Level.SHOULD, exchanges=(3,)),
        result("receiver.duplicate.across-instances", Outcome.SKIP, exchanges=()),
        result("receiver.accepts.any-text", Outcome.PASS, case="emoji"),
        result("receiver.accepts.any-text", Outcome.PASS, case="empty"),
        exchanges=[exchange(1), exchange(2, b'{"msgId":"2"}'), exchange(3, b"")],
    )
    sender = report(
        result("sender.retry.backoff", Outcome.FAIL, exchanges=(101,)),
        result("sender.retry.count", Outcome.PASS, exchanges=()),
        side="sender",
        exchanges=attempts(),
    )
    return [receiver, sender]


@pytest.fixture
def shown(pages: Pages, tmp_path: Path) -> Any:
    """Opens reports as one page."""

    def show(*reports: Report, **options: Any) -> Any:
        file = tmp_path / "report.html"
        file.write_text(page(*(reports or mixed())), encoding="utf-8")
        return pages.open(file.as_uri(), **options)

    return show


async def _whole_run() -> Report:
    """A full run against a receiver with faults of several kinds."""
    faulty = replace(
        behaviour.ReceiverBehaviour(),
        authenticate=partial(
            behaviour.authenticate, matches=lambda right, given: given[:8] == right[:8]
        ),
        limit=200_000,
    )
    signer = Signer(load("guide"), Secret(b"a secret of sixteen"))
    async with Inbox(MEMORY) as inbox, serving(faulty, inbox, signer) as base:
        options = Options(
            url=base + ENDPOINT, secret=signer.secret, dialect=signer.dialect,
            observer_url=base + OBSERVER, fuzz=20,
        )  # fmt: skip
        return await Runner(ReceiverSide(options)).report()


@pytest.fixture(scope="module")
def whole() -> Report:
    return wait_for(_whole_run())


def count(opened: Any) -> int:
    return int(opened.locator("#count").inner_text().replace(",", ""))


def visible(opened: Any, selector: str) -> int:
    return opened.locator(f"{selector}:visible").count()


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_no_width_needs_scrolling_sideways(shown: Any, width: int, dark: bool) -> None:
    opened = shown(width=width, dark=dark)
    opened.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert too_wide(opened) <= 0
    opened.locator("[value=zh-Hant]").check(force=True)
    assert too_wide(opened) <= 0


def test_failures_come_first(shown: Any) -> None:
    headings = shown().locator("section.outcome > h2").all_inner_texts()
    assert [each.split()[0] for each in headings] == [
        "Failed", "Warnings", "Notes", "Skipped", "Passed",
    ]  # fmt: skip


CHOICES = [
    ("outcome", "fail", 3),
    ("outcome", "not-passed", 6),
    ("level", "SHOULD", 1),
    ("group", "receiver.signature", 3),
    ("side", "sender", 2),
]


def test_a_choice_filters(shown: Any) -> None:
    opened = shown()
    assert count(opened) == 9
    for name, value, left in CHOICES:
        opened.locator(f"select[name={name}]").select_option(value)
        assert count(opened) == left, value
        assert 0 < visible(opened, ".rule") <= left, value
        opened.locator("#clear").click()
        assert count(opened) == 9


SEARCHES = {
    "SIGNATURE.truncated": 2,
    "only-first": 1,
    "truncated half": 1,
    "比較簽名": 9,  # the language that is not shown
    '{"msgid":"2"}': 1,
    "nothing like it": 0,
}


def test_a_search_filters(shown: Any) -> None:
    opened = shown()
    for text, left in SEARCHES.items():
        opened.locator("[name=search]").fill(text)
        assert count(opened) == left, text
        assert opened.locator("#nothing").is_visible() == (left == 0), text
        sections = opened.locator("section.outcome:visible").count()
        assert sections == opened.locator("section.outcome:has(.rule:not([hidden]))").count()


def test_the_search_is_a_key_away_and_escape_clears_it(shown: Any) -> None:
    opened = shown()
    opened.keyboard.press("/")
    opened.keyboard.type("backoff/")
    assert opened.locator("[name=search]").input_value() == "backoff/"
    opened.keyboard.press("Escape")
    assert count(opened) == 9


def test_a_group_in_the_chart_filters(shown: Any) -> None:
    opened = shown()
    opened.get_by_role("button", name="Receiver · Bodies").click()
    assert count(opened) == 1


def test_a_link_to_what_is_filtered_out_shows_it(shown: Any) -> None:
    opened = shown()
    opened.locator("select[name=outcome]").select_option("pass")
    opened.evaluate("location.hash = 'x3'")
    opened.locator("#\\30-x3, #x3, [id='0-x3']").first.wait_for(state="attached")
    opened.evaluate("location.hash = '0-x3'")
    opened.locator("[id='0-x3']").wait_for(state="visible")
    assert count(opened) == 9


def test_a_line_is_copied_as_it_stands(shown: Any) -> None:
    opened = shown()
    opened.locator(".result > summary").first.click()
    button = opened.locator(".paste button").first
    button.click()
    assert opened.evaluate("navigator.clipboard.readText()") == LINE
    assert button.inner_text() == "Copied"
    assert opened.locator("#status").inner_text() == "Copied"


def test_a_line_is_copied_where_the_clipboard_is_not_to_be_had(shown: Any) -> None:
    opened = shown()
    opened.evaluate("void (navigator.clipboard.writeText = () => Promise.reject())")
    opened.locator(".result > summary").first.click()
    opened.locator(".paste button").first.click()
    opened.get_by_role("button", name="Copied").wait_for()
    assert opened.evaluate("navigator.clipboard.readText()").strip() == LINE


def test_the_language_switches(shown: Any) -> None:
    opened = shown()
    assert opened.locator("h1").inner_text().startswith("This receiver does not conform.")
    opened.get_by_role("radio", name="中文").check(force=True)
    assert opened.locator("h1").inner_text().startswith("此接收端不符合規範。")
    assert opened.evaluate("document.documentElement.lang") == "zh-Hant"
    assert opened.title().startswith("此接收端不符合規範。")
    assert opened.locator("select[name=level] option").first.inner_text() == "全部"
    assert visible(opened, 'span[lang="en"]') == 0


def test_a_report_in_chinese_begins_in_chinese(shown: Any) -> None:
    opened = shown(replace(mixed()[0], language=languages.load("zh-Hant")))
    assert opened.locator("h1").inner_text() == "此接收端不符合規範。"
    assert opened.locator("[value=zh-Hant]").is_checked()


def paper(opened: Any) -> str:
    return str(opened.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_theme_follows_the_system_and_switches(shown: Any) -> None:
    opened = shown(dark=True)
    assert paper(opened) == "rgb(19, 21, 25)"
    opened.get_by_label("Light").check(force=True)
    assert paper(opened) == "rgb(255, 255, 255)"
    opened.get_by_label("Dark").check(force=True)
    assert paper(opened) == "rgb(19, 21, 25)"


def test_on_paper_what_broke_is_unfolded_and_light(shown: Any) -> None:
    opened = shown(dark=True)
    opened.emulate_media(media="print")
    assert paper(opened) == "rgb(255, 255, 255)"
    assert not opened.locator("#filter").is_visible()
    sizes = opened.locator("#fail .wire").evaluate_all("all => all.map(each => each.offsetHeight)")
    assert sizes
    assert min(sizes) > 0
    assert opened.pdf()[:5] == b"%PDF-"


def test_without_scripts_the_report_can_be_read(shown: Any) -> None:
    opened = shown(java_script_enabled=False)
    assert opened.locator("h1").is_visible()
    assert opened.locator("article").count() == 4
    assert not opened.locator("#filter").is_visible()
    opened.locator(".result > summary").first.click()
    assert opened.locator(".paste pre").first.is_visible()


def test_the_attempts_of_a_message_are_drawn_and_listed(shown: Any) -> None:
    story = shown().locator(".story")
    story.scroll_into_view_if_needed()
    assert story.locator("circle").count() == 4
    assert story.locator("circle.delivered").count() == 1
    cells = story.locator("tbody tr").nth(2).locator("th, td").all_text_contents()
    assert [each.strip() for each in cells][2:4] == ["1.99 s", "×2.0"]


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_stays_text_wherever_it_stands(shown: Any, pages: Pages, evil: str) -> None:
    text = Text(evil, evil)
    hostile = Rule(f"receiver.x{evil[:200]}.y", Level.MUST, evil, text, text, text)
    raw = evil.encode()
    request = Request("POST", f"http://x/{evil[:100]}", ((b"X-" + raw[:99], raw),), raw)
    seen = replace(exchange(1), request=request, answer=Answer(200, ((b"X", raw),), raw))
    failed = result("x", Outcome.FAIL, rule=hostile, case=evil, message=text, reproduce=evil)
    passed = replace(failed, outcome=Outcome.PASS, case="other")
    opened = shown(
        report(
            failed, passed, exchanges=[seen], target=f"http://{evil}", cause=text, dialect=evil,
            spoken=evil + "2",
        )
    )  # fmt: skip
    opened.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    opened.get_by_role("radio", name="中文").check(force=True)
    assert opened.evaluate("window.evil") is None
    assert opened.locator("script, style, img, iframe, object, embed, link, base").count() == 2
    assert [each for each in pages.requested if not each.startswith("file:")] == []
    assert too_wide(opened) <= 0


def test_nothing_can_make_markup_of_text(shown: Any, pages: Pages) -> None:
    opened = shown()
    said = opened.evaluate(
        "(() => { try { document.body.innerHTML = '<b>'; } catch (fault) { return fault.name; } })()"
    )
    assert said == "TypeError"
    assert all("TrustedHTML" in each for each in pages.faults)
    pages.faults.clear()


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_people_who_see_little_or_use_no_mouse_can_read_it(
    shown: Any, width: int, dark: bool
) -> None:
    opened = shown(width=width, dark=dark)
    opened.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert accessibility_faults(opened) == []


def test_every_control_is_reached_by_the_keyboard(shown: Any) -> None:
    opened = shown()
    reached = []
    for _ in range(14):
        opened.keyboard.press("Tab")
        reached.append(
            opened.evaluate(
                "document.activeElement.name || document.activeElement.className"
                " || document.activeElement.hash || document.activeElement.localName"
            )
        )
    assert reached[0] == "skip-link"
    assert {"language", "theme", "#fail"} <= set(reached)


def test_a_full_run_is_small_and_soon_ready(shown: Any, whole: Report, tmp_path: Path) -> None:
    ready = """performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd"""
    # Of a busy machine the best of some tries tells.
    assert any(shown(whole).evaluate(ready) < 1000 for _ in range(8))
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
    opened = shown(whole)
    assert count(opened) == len(whole.results)


@pytest.mark.parametrize(
    "spread",
    [
        pytest.param(20_000, id="one-rule", marks=pytest.mark.soak),
        pytest.param(100, id="200-rules", marks=pytest.mark.soak),
        pytest.param(1, id="rules"),
    ],
)
def test_twenty_thousand_results_are_still_usable(shown: Any, spread: int) -> None:
    outcomes = list(Outcome)
    made = [
        result(
            f"receiver.x.r{number // spread}", outcomes[number // spread % 6], case=f"case-{number}",
            reproduce="curl " + "x" * 900,
        )
        for number in range(20_000)
    ]  # fmt: skip
    opened = shown(report(*made))
    script = """async () => {
      const from = performance.now();
      document.querySelector("[name=search]").value = "case-12345";
      document.getElementById("filter").dispatchEvent(new Event("input"));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      return performance.now() - from;
    }"""
    first, again = opened.evaluate(script), opened.evaluate(script)
    assert count(opened) == 1
    # Many times of what it takes, for a busy machine: 0.4 s, and 0.1 s.
    assert first < 8000
    assert again < 3000


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_the_notebooks_table_can_be_read_on_any_paper(
    pages: Pages, tmp_path: Path, width: int, dark: bool
) -> None:
    paper, ink = ("#111", "#ddd") if dark else ("#fff", "#1f1f1f")
    file = tmp_path / "cell.html"
    file.write_text(
        f'<!doctype html><html lang="en"><title>A cell</title><body style="background: {paper}; '
        f'color: {ink}"><main><h1>A cell</h1>{fragment(mixed()[0])}</main>',
        encoding="utf-8",
    )
    opened = pages.open(file.as_uri(), width=width)
    opened.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert accessibility_faults(opened) == []
    if width == DESK:
        assert too_wide(opened) <= 0
