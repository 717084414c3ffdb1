"""Hostile text on a page: escaped, spelled out, and told from what it would pass for."""

from __future__ import annotations

import pytest

from conformance.model.text import Text
from conformance.reporting.pages.escaped import both, decoded, marked, runs, wire

BYTES = [
    pytest.param(b"plain \xe6\xb8\xac", "plain 測", id="text"),
    pytest.param(b"<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;", id="markup"),
    pytest.param(b"\xff\xfe!", r"<i>\xff\xfe</i>!", id="no-utf8"),
    pytest.param(rb"\xff", r"\xff", id="four-characters-that-spell-a-byte"),
    pytest.param(b"\xed\xa0\xbd", r"<i>\xed\xa0\xbd</i>", id="surrogate-bytes"),
    pytest.param("\u202ex\u2069".encode(), r"<i>\u202e</i>x<i>\u2069</i>", id="bidi"),
    pytest.param(b"a\0\x1b[1m", r"a<i>\x00\x1b</i>[1m", id="controls"),
    pytest.param(b"one\r\n\ttwo", "one<i>\\x0d</i>\n\ttwo", id="lines"),
    pytest.param(b"", "", id="empty"),
]


@pytest.mark.parametrize(("body", "shown"), BYTES)
def test_bytes_are_shown_as_text_that_does_nothing(body: bytes, shown: str) -> None:
    assert wire(decoded(body, 100)) == shown


def test_a_byte_that_is_no_text_is_told_from_the_four_characters_that_spell_it() -> None:
    assert wire(decoded(b"\xff", 10)) != wire(decoded(rb"\xff", 10))


def test_a_lone_surrogate_of_a_text_keeps_its_own_name() -> None:
    assert marked("\udcff") == r"<i>\udcff</i>"


def test_a_text_of_one_line_has_its_line_ends_spelled_out() -> None:
    assert marked("a\n\tb") == r"a<i>\n\t</i>b"
    assert marked("a\n\tb", lines=True) == "a\n\tb"


def test_a_cut_does_not_break_a_character() -> None:
    assert decoded("測試".encode(), 4) == "測"


def test_runs_are_plain_and_spelled_in_turn() -> None:
    assert runs(decoded(b"<b>\xff\x00x", 100)) == ["<b>", r"\xff\x00", "x"]


def test_runs_begin_with_a_plain_one() -> None:
    assert runs(decoded(b"\x00x", 100)) == ["", r"\x00", "x"]


def test_runs_hold_no_empty_spelled_one() -> None:
    assert runs("") == [""]


def test_a_text_stands_in_both_languages() -> None:
    shown = both(Text("<b>", "粗"))
    assert shown == '<span lang="en">&lt;b&gt;</span><span lang="zh-Hant">粗</span>'


def test_what_is_the_same_in_both_languages_stands_once() -> None:
    assert both(Text("HTTP", "HTTP")) == "HTTP"
