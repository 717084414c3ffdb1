"""Inputs for a sender: any content that it may have to send, and answers in any order."""

from __future__ import annotations

import json
from functools import cache

import pytest

from conformance import fuzz
from conformance.protocol.message import build
from conformance.protocol.validation import message_problems

contents, scripts = cache(fuzz.contents), cache(fuzz.scripts)


@pytest.mark.parametrize("draw", range(2))
def test_every_content_fits_its_type(draw: int) -> None:
    plain = build("text", "1", 1769845800).fields()
    for msg_type, content in contents(200, draw):
        assert message_problems({**plain, "msgType": msg_type, "content": content}) == []


def test_the_number_asked_for_is_drawn_without_duplicates() -> None:
    assert len({json.dumps(each) for each in contents(200, 1)}) == 200
    assert len({repr(each) for each in scripts(30, 1)}) == 30


def test_every_type_that_senders_must_support_is_drawn() -> None:
    assert {msg_type for msg_type, _ in contents(200, 1)} == {1, 3, 34, 43, 47, 49}


def test_the_simplest_comes_first() -> None:
    sizes = [len(json.dumps(each)) for each in contents(50, 1)]
    assert sizes == sorted(sizes)
    assert len(scripts(30, 1)[0]) == 1


def test_texts_that_have_broken_software_are_always_drawn() -> None:
    texts = {content for kind, content in contents(200, 1) if kind == 1}
    assert {"\u2028\u2029", "a\r\nb\rc", "❤️1️⃣☎︎"} <= texts


def test_a_url_has_no_forbidden_characters() -> None:
    media = [str(content) for kind, content in contents(200, 1) if kind in (3, 34, 43, 47)]
    assert not any(set(each) & set(' "<>{}\\^`\n\t') for each in media)


def test_each_failure_has_a_script_of_its_own() -> None:
    alone = [script[0] for script in scripts(30, 1) if len(script) == 2]
    assert {reply.fault or reply.status for reply in alone} == {
        500, 503, 404, 400, 201, 204, 302, 401, 403, 410, 413, 422, 429, 202, 301, 307, 308,
        "reset", "close", "hang",
    }  # fmt: skip


def test_no_text_contains_a_nul() -> None:
    assert not any("\0" in str(each) for each in contents(200, 1))


def test_the_same_seed_draws_the_same_inputs_and_another_does_not() -> None:
    assert contents(60, 1) == fuzz.contents(60, 1) != contents(60, 2)
    assert scripts(40, 1) == fuzz.scripts(40, 1) != scripts(40, 2)


def test_a_script_hangs_at_most_once_and_ends_with_200() -> None:
    for script in scripts(100, 1):
        assert sum(reply.fault == "hang" for reply in script) <= 1
        assert script[-1].status == 200
        assert all(reply.status != 200 or reply.fault for reply in script[:-1])
