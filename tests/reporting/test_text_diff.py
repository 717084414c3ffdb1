"""The differences between two texts from the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.reporting.html.text_diff import Piece, diff

SIGNED = '{"msgId":"1","timestamp":1625123456,"content":"x"}'


def test_equal_texts_are_one_piece() -> None:
    assert diff(SIGNED, SIGNED) == [Piece(SIGNED, same=True)]


def test_two_empty_texts_have_no_piece() -> None:
    assert diff("", "") == []


@pytest.mark.parametrize(
    ("before", "after", "pieces"),
    [
        pytest.param("abcd", "abXd", [("ab", ""), ("X", "c"), ("d", "")], id="changed"),
        pytest.param("abcd", "abcde", [("abcd", ""), ("e", "")], id="added"),
        pytest.param("abcd", "ab", [("ab", ""), ("", "cd")], id="cut"),
        pytest.param("abcd", "ad", [("a", ""), ("", "bc"), ("d", "")], id="left-out"),
        pytest.param("aaa", "aa", [("aa", ""), ("", "a")], id="repeats-are-not-counted-twice"),
        pytest.param(
            "id 17 at 1625123456 end",
            "id 18 at 1625123999 end",
            [("id 1", ""), ("8", "7"), (" at 1625123", ""), ("999", "456"), (" end", "")],
            id="in-two-places",
        ),
    ],
)
def test_a_difference_is_a_piece_of_its_own(
    before: str, after: str, pieces: list[tuple[str, str]]
) -> None:
    assert [(each.text, each.removed) for each in diff(before, after)] == pieces


def test_digits_that_two_digests_share_by_chance_are_no_match() -> None:
    pieces = diff("9f86d081884c7d659a2feaa0c55ad015", "60303ae22b998861bce3b28f33eec1be")
    assert [each.same for each in pieces] == [False]


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_make_both_texts(before: str, after: str) -> None:
    pieces = diff(before, after)
    assert "".join(each.text for each in pieces) == after
    assert "".join(each.text if each.same else each.removed for each in pieces) == before
