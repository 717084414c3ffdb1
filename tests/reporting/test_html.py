"""The HTML page and the notebook's table: complete, safe whatever a target sent, in both languages.

test_in_chromium shows the page in a browser.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from typing import Any

import pytest

from conformance.model.exchange import Answer, Fault, Transport
from conformance.model.rules import Level, Outcome, Rule, Verdict
from conformance.model.sentence import EMPTY
from conformance.model.text import Text
from conformance.reporting import languages
from conformance.reporting.charts import ORDER
from conformance.reporting.html import evidence
from conformance.reporting.html.page import fragment, page
from tests.reporting.html_parts import TAMPERED, Tree, answering, exchange, report, result, rule

# What a target may put into an answer to attack the reader of the report.
PAYLOADS = [
    pytest.param(
        b"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;", id="script"
    ),
    pytest.param(
        b"</pre></details><img src=x onerror=alert(1)>", "&lt;/pre&gt;", id="closing-tags"
    ),
    pytest.param(b"\" onmouseover='alert(1)", "&#34; onmouseover=&#39;alert(1)", id="quotes"),
    pytest.param(b"]]>", "]]&gt;", id="cdata-end"),
    pytest.param(b"{{ 7 * 7 }}{% raw %}", "{{ 7 * 7 }}{% raw %}", id="template"),
    pytest.param(b"&lt;b&gt;", "&amp;lt;b&amp;gt;", id="entities"),
    pytest.param(b"\x1b[31mred", r"<i>\x1b</i>[31mred", id="escape-sequence"),
    pytest.param(b"a\x00b", r"a<i>\x00</i>b", id="nul"),
    pytest.param("\u009b1m".encode(), r"<i>\x9b</i>1m", id="c1"),
    pytest.param("\u202eevil\u202c".encode(), r"<i>\u202e</i>evil<i>\u202c</i>", id="bidi"),
    pytest.param("\u2067x\u2069".encode(), r"<i>\u2067</i>x<i>\u2069</i>", id="bidi-isolate"),
    pytest.param(b"\xff\xfe!", r"<i>\xff\xfe</i>!", id="invalid-utf8"),
    pytest.param(b"\xed\xa0\xbd", r"<i>\xed\xa0\xbd</i>", id="surrogate-bytes"),
    pytest.param(b"one\r\ntwo", "one<i>\\r</i>\ntwo".replace("\\r", "\\x0d"), id="carriage-return"),
]
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def policy(text: str) -> dict[str, str]:
    """The page's Content-Security-Policy, by directive."""
    (found,) = [
        each["content"] or ""
        for each in Tree(text).all("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    ]
    parts = [part.split(maxsplit=1) for part in found.split("; ")]
    return {part[0]: part[1] for part in parts}


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_page_is_well_formed():
    every = [result(outcome, rule=rule(f"receiver.x.{outcome}")) for outcome in Outcome]
    assert Tree(page(report(*every))).open == []


def test_the_policy_forbids_everything_but_its_own_style_and_script():
    text = page(report())
    assert policy(text) == {
        "default-src": "'none'",
        "style-src": digest(Tree(text).inside("style")),
        "script-src": digest(Tree(text).inside("script")),
        "img-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_page_needs_nothing_that_the_policy_forbids():
    for _, attributes in Tree(page(report())).tags:
        assert not attributes.keys() & {"src", "style", "srcset", "data", "action"}
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")


def test_each_link_leads_to_a_place_in_the_page():
    first, second = result(case="a"), result(case="b")
    tree = Tree(page(report(first, second)))
    places = {attributes.get("id") for _, attributes in tree.tags}
    assert {each["href"] for each in tree.all("a")} <= {f"#{place}" for place in places}


def test_ids_are_unique():
    failed, warned = result(case="a"), result(Outcome.WARN, case="b")
    ids = [each["id"] for _, each in Tree(page(report(failed, warned))).tags if "id" in each]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("payload", "shown"), PAYLOADS)
def test_an_answer_is_shown_escaped(payload: bytes, shown: str):
    assert shown in page(answering(payload))


@pytest.mark.parametrize(("payload", "shown"), PAYLOADS)
def test_an_answer_adds_no_element_and_no_invisible_character(payload: bytes, shown: str):
    plain, hostile = page(answering(b"fine")), page(answering(payload))
    elements = [tag for tag, _ in Tree(hostile).tags if tag != "i"]
    assert elements == [tag for tag, _ in Tree(plain).tags if tag != "i"]
    assert not UNSEEN.search(hostile)


@pytest.mark.parametrize(("payload", "shown"), PAYLOADS)
def test_header_values_are_escaped_and_stay_on_their_line(payload: bytes, shown: str):
    text = page(answering(b"", ((b"X-Evil", payload),)))
    assert shown.replace("\n", r"\n").replace(r"</i>\n", r"\n</i>") in text
    assert not UNSEEN.search(text)


@pytest.mark.parametrize("show", [page, fragment])
@pytest.mark.parametrize(
    "hostile", ["<script>x</script>", "\x1b[2J", "\u202e", "\0", "\ud83d", "\ufdd0"]
)
def test_every_text_is_made_harmless(show: Any, hostile: str):
    text = Text(hostile, hostile)
    evil = Rule(f"receiver.x{hostile}.y", Level.MUST, hostile, text, text, text)
    each = result(rule=evil, case=hostile, message=text, reproduce=hostile)
    shown = show(
        report(
            each,
            replace(each, outcome=Outcome.SKIP),
            replace(each, outcome=Outcome.PASS),
            exchanges=(exchange(fault=Fault.CLOSED, answer=None, detail=hostile),),
            target=f"http://x/{hostile}",
            dialect=hostile,
            spoken=hostile + "2",
            cause=text,
        )
    )
    assert "<script>x" not in shown
    assert not UNSEEN.search(shown)
    shown.encode()


def test_a_long_body_is_cut_and_says_so():
    text = page(answering(b"x" * 5000))
    assert "x" * 2048 in text
    assert "x" * 2049 not in text
    assert "5,000 bytes; the first 2,048 are shown" in text


def test_an_answer_that_was_longer_than_what_was_kept_says_so():
    text = page(report(exchanges=(exchange(answer=Answer(200, (), b"x" * 65536, cut=True)),)))
    assert "more than 65,536 bytes; the first 2,048 are shown" in text


def test_many_headers_are_cut():
    assert "100 headers; the first 40 are shown" in page(answering(b"", ((b"A", b"b"),) * 100))


def test_an_exchange_shows_request_line_headers_body_status_and_time():
    text = page(report())
    assert "<b>POST http://127.0.0.1:5000/hook?a=1</b>" in text
    assert "<s>X-Webhook-Timestamp:</s> 1" in text
    assert "{&#34;msgId&#34;:&#34;1&#34;}" in text
    assert "<b>200 OK</b>" in text
    assert "<s>Server:</s> test" in text
    assert "262\N{NO-BREAK SPACE}ms" in text


def test_a_fault_stands_where_the_answer_would():
    timed_out = exchange(answer=None, fault=Fault.TIMEOUT, detail="after 6 s")
    assert "no complete answer in time (after 6 s)" in page(report(exchanges=(timed_out,)))


def test_an_unusual_way_of_sending_is_named():
    assert "sent in chunks" in page(report(exchanges=(exchange(transport=Transport.CHUNKED),)))


def test_an_exchange_is_shown_once_and_then_pointed_to():
    tree = Tree(page(report(result(case="a"), result(case="b"))))
    assert [each["id"] for each in tree.all("div") if each.get("id")] == ["x1"]
    assert {"href": "#x1"} in tree.all("a")


def test_an_exchange_that_the_trace_does_not_hold_is_left_out():
    assert not Tree(page(report(exchanges=()))).all("details")


def test_a_page_of_very_many_failures_stays_small():
    body = b'"<\0>' * 1000
    many = [exchange(id, body=body, answer=Answer(500, (), body)) for id in range(1, 2001)]  # noqa: A001
    results = [
        result(
            rule=rule(f"receiver.x.r{number}"),
            exchanges=tuple(range(number * 10 + 1, number * 10 + 11)),
            reproduce="curl " + "x" * 900,
        )
        for number in range(200)
    ]
    assert len(page(report(*results, exchanges=tuple(many))).encode()) < 1_500_000


def test_where_room_is_short_each_result_keeps_its_telling_exchange(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(evidence, "ROOM", 5000)
    made = report(
        result(rule=rule("receiver.x.one"), exchanges=tuple(range(1, 11))),
        result(rule=rule("receiver.x.two"), exchanges=(11, 12)),
        exchanges=tuple(exchange(id) for id in range(1, 13)),  # noqa: A001
    )
    shown = {each["id"] for each in Tree(page(made)).all("div") if "id" in each}
    assert {"x1", "x11"} <= shown
    assert len(shown) < 12


def test_the_page_refers_to_the_trace_for_what_it_has_no_room_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(evidence, "ROOM", 0)
    text = page(report(result(case="a"), result(case="b")))
    assert "see the trace for the other" in text
    assert not Tree(text).all("pre")


def test_past_so_many_rules_a_rule_has_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(evidence, "MOST_RULES", 2)
    made = [result(rule=rule(f"receiver.x.r{number}"), exchanges=()) for number in range(5)]
    tree = Tree(page(report(*made)))
    assert len(tree.all("article")) == 2
    assert len([each for each in tree.all("div") if "data-outcome" in each]) == 3


def test_outcomes_stand_in_order_of_weight():
    every = [result(outcome, rule=rule(f"receiver.x.{outcome}")) for outcome in Outcome]
    sections = [each["id"] for each in Tree(page(report(*every))).all("section")]
    assert sections == ["fail", "error", "warn", "note", "skip", "pass"]


def test_cases_of_a_rule_share_its_text_and_a_message():
    text = page(report(result(case="a"), result(case="b")))
    assert text.count("Anyone could forge it") == 1
    assert (
        '<code>[a]</code> <code>[b]</code> <span class="message"><span lang="en">answered 200</span>'
        in text
    )


def test_cases_of_different_levels_stand_apart():
    tree = Tree(page(report(result(case="a"), result(case="b", level=Level.SHOULD))))
    assert [each["data-level"] for each in tree.all("article")] == ["MUST", "SHOULD"]


def test_many_cases_are_named_by_a_few_of_them():
    text = page(report(*[result(case=str(number)) for number in range(20)]))
    assert "<code>[7]</code> <small>+12</small>" in text


def test_a_failure_shows_all_that_helps_to_fix_it():
    text = page(report(result(reproduce="curl 'http://x' && true")))
    for part in (
        "receiver.<wbr>signature.<wbr>tampered-body",
        "MUST",
        "A changed body is refused",
        "answered 200",
        "Anyone could forge it",
        "Compare the signatures",
        '<cite lang="zh-Hant">驗證簽名</cite>',
        "curl &#39;http://x&#39; &amp;&amp; true",
    ):
        assert part in text


def test_a_line_too_long_for_the_page_is_named_instead():
    text = page(report(result(reproduce="x" * 20_000)))
    assert "x" * 1000 not in text
    assert "see the JSON report" in text


def test_what_passed_is_a_folded_line_each():
    tree = Tree(page(report(result(Outcome.PASS), verdict=Verdict.PASS)))
    assert len(tree.all("article")) == 0
    (line,) = [each for each in tree.all("details") if each.get("data-outcome")]
    assert "open" not in line
    assert line["id"] == f"pass-{TAMPERED}-MUST"


@pytest.mark.parametrize(
    ("side", "verdict", "language", "statement"),
    [
        ("receiver", Verdict.PASS, "en", "This receiver conforms."),
        ("receiver", Verdict.FAIL, "en", "This receiver does not conform."),
        ("sender", Verdict.ERROR, "en", "This sender could not be judged."),
        ("receiver", Verdict.FAIL, "zh-Hant", "此接收端不符合規範。"),
        ("sender", Verdict.PASS, "zh-Hant", "此發送端符合規範。"),
    ],
)
def test_the_verdict_is_a_plain_statement(
    side: str, verdict: Verdict, language: str, statement: str
):
    made = report(side=side, verdict=verdict, language=languages.load(language))
    tree = Tree(page(made))
    assert statement in tree.spoken(language)
    assert tree.all("html") == [{"lang": language}]
    assert statement in fragment(made)


def test_the_head_says_what_was_judged_and_how():
    text = page(report(dialect="guide", spoken="timestamp-body"))
    for part in ("127.0.0.1:5000/hook", "guide", "timestamp-body", ">7<", "1.8 "):
        assert part in text
    assert "2026-11-24 02:00:00 UTC" in text


def test_the_cause_stands_at_the_top_and_is_not_repeated():
    cause = Text("The secret does not fit", "密鑰不符")
    text = page(report(result(Outcome.ERROR, message=cause), cause=cause))
    assert text.count("The secret does not fit") == 1
    assert text.index("The secret does not fit") < text.index("<main")


def test_there_is_no_cause_where_the_report_has_none():
    assert 'class="cause' not in page(report(cause=EMPTY))


@pytest.mark.parametrize(
    ("language", "said"),
    [
        pytest.param("en", ("How to fix it", "A changed body is refused"), id="en"),
        pytest.param("zh-Hant", ("如何修正", "改動過的內容會被拒絕"), id="zh-Hant"),
    ],
)
def test_the_page_holds_both_languages(language: str, said: tuple[str, ...]):
    tree = Tree(page(report()))
    assert all(each in tree.spoken(language) for each in said)


def test_every_text_in_one_language_has_its_counterpart():
    spans = Tree(page(report(result(), result(Outcome.PASS, case="x")))).all("span")
    languages = [each["lang"] for each in spans if "lang" in each]
    assert languages == ["en", "zh-Hant"] * (len(languages) // 2)


def test_every_choice_has_its_name_in_both_languages():
    choices = Tree(page(report())).all("option")
    assert [each for each in choices if each.get("value") and not each.get("data-zh")] == []


def test_two_reports_share_a_page():
    other = report(
        result(rule=rule("sender.retry.count")),
        side="sender",
        target="http://127.0.0.1:8080/v1/webhook",
        verdict=Verdict.ERROR,
    )
    text = page(report(), other)
    tree = Tree(text)
    assert "This receiver does not conform." in text
    assert "This sender could not be judged." in text
    assert {each["data-side"] for each in tree.all("article")} == {"receiver", "sender"}
    assert {"name": "side"} in tree.all("select")
    ids = [each["id"] for _, each in tree.tags if "id" in each]
    assert len(ids) == len(set(ids))


def test_a_page_of_one_side_has_no_choice_of_sides():
    assert {"name": "side"} not in Tree(page(report())).all("select")


def test_a_report_without_results_has_a_page():
    assert Tree(page(report(verdict=Verdict.ERROR, exchanges=()))).open == []


def test_the_table_shows_failures_first_and_counts_what_passed():
    passed, noted, failed = (
        result(outcome, rule=rule(f"receiver.x.{outcome}"))
        for outcome in (Outcome.PASS, Outcome.NOTE, Outcome.FAIL)
    )
    text = fragment(report(passed, noted, failed))
    assert text.index("receiver.x.fail") < text.index("receiver.x.note")
    assert "receiver.x.pass" not in text
    assert "1 Passed" in text


def test_the_table_is_well_formed_and_needs_no_style_sheet():
    tree = Tree(fragment(report(*[result(outcome, reproduce="curl") for outcome in ORDER])))
    assert tree.open == []
    assert not {"style", "script", "link"} & {tag for tag, _ in tree.tags}


def test_the_table_folds_what_was_skipped():
    text = fragment(report(result(Outcome.SKIP, message=Text("needs --also-url", "需要"))))
    assert "<table" not in text
    assert "needs --also-url" in text
