"""Builders against the schemas, and forms against a JSON parser."""

import base64
import json

import pytest

from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.message import TYPES, build
from conformance.protocol.validation import message_problems

NOW = 1_700_000_000


@pytest.mark.parametrize("kind", TYPES)
def test_every_kind_fits_the_schema(kind):
    assert message_problems(build(kind, "7", NOW).fields()) == []


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind.endswith("-base64")])
def test_base64_media_is_a_real_file(kind):
    signatures = {
        "image-base64": b"\x89PNG",
        "voice-base64": b"#!AMR",
        "video-base64": b"\x00\x00\x00\x18ftyp",
        "emoji-base64": b"GIF89a",
    }
    content = base64.b64decode(str(build(kind, "7", NOW).content), validate=True)
    assert content.startswith(signatures[kind])


def test_fields_stand_in_the_guides_order():
    assert list(build("text", "7", NOW).fields())[:4] == ["key", "msgId", "timestamp", "fromUser"]


@pytest.mark.parametrize("form", ENCODINGS)
def test_every_form_is_the_same_value(form):
    fields = build("link", "7", NOW).fields() | {
        "content": {"url": "https://a/b?c&d", "t": "<測試>"}
    }
    assert json.loads(ENCODINGS[form](fields)) == fields


@pytest.mark.parametrize("form", sorted(set(ENCODINGS) - {"compact"}))
def test_every_form_differs_from_the_plain_one(form):
    fields = build("link", "7", NOW).fields() | {
        "content": {"url": "https://a/b?c&d", "t": "<測試>"}
    }
    assert ENCODINGS[form](fields) != ENCODINGS["compact"](fields)
