"""Hostile text on a page: escaped, written out, and different from text that looks the same."""

from __future__ import annotations

import pytest

from conformance.model.text import Text
from conformance.reporting.pages.escaped_text import (
    both,
    decode,
    escape_runs,
    escape_text,
    escape_wire,
)

BYTES = [
    pytest.param(b"plain \xe6\xb8\xac", "plain 測", id="text"),
    pytest.param(b"<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;", id="markup"),
    pytest.param(b"\xff\xfe!", r"<i>\xff\xfe</i>!", id="no-utf8"),
    pytest.param(rb"\xff", r"\xff", id="four-literal-characters"),
    pytest.param(b"\xed\xa0\xbd", r"<i>\xed\xa0\xbd</i>", id="surrogate-bytes"),
    pytest.param("\u202ex\u2069".encode(), r"<i>\u202e</i>x<i>\u2069</i>", id="bidi"),
    pytest.param(b"a\0\x1b[1m", r"a<i>\x00\x1b</i>[1m", id="controls"),
    pytest.param(b"one\r\n\ttwo", "one<i>\\x0d</i>\n\ttwo", id="lines"),
    pytest.param(b"", "", id="empty"),
]


@pytest.mark.parametrize(("body", "shown"), BYTES)
def test_bytes_become_harmless_text(body: bytes, shown: str) -> None:
    assert escape_wire(decode(body, 100)) == shown


def test_an_escaped_byte_differs_from_the_same_four_characters() -> None:
    assert escape_wire(decode(b"\xff", 10)) != escape_wire(decode(rb"\xff", 10))


def test_a_lone_surrogate_in_a_text_is_written_as_itself() -> None:
    assert escape_text("\udcff") == r"<i>\udcff</i>"


def test_line_ends_are_written_out_unless_they_are_kept() -> None:
    assert escape_text("a\n\tb") == r"a<i>\n\t</i>b"
    assert escape_text("a\n\tb", lines=True) == "a\n\tb"


def test_a_cut_does_not_break_a_character() -> None:
    assert decode("測試".encode(), 4) == "測"


def test_plain_and_written_out_runs_alternate() -> None:
    assert escape_runs(decode(b"<b>\xff\x00x", 100)) == ["<b>", r"\xff\x00", "x"]


def test_the_first_run_is_plain() -> None:
    assert escape_runs(decode(b"\x00x", 100)) == ["", r"\x00", "x"]


def test_an_empty_text_is_one_plain_run() -> None:
    assert escape_runs("") == [""]


def test_a_text_is_in_both_languages() -> None:
    shown = both(Text("<b>", "粗"))
    assert shown == '<span lang="en">&lt;b&gt;</span><span lang="zh-Hant">粗</span>'


def test_a_text_that_is_the_same_in_both_languages_appears_once() -> None:
    assert both(Text("HTTP", "HTTP")) == "HTTP"
