"""Valid messages fit the schemas, malformed ones break what they claim to break, and no forgery is
validly signed. Other code than the strategies judges that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace

import jsonschema_rs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.engine.receiver.compose import compose_signed
from conformance.fuzz import (
    forged_deliveries,
    malformed_bodies,
    malformed_deliveries,
    messages,
    valid_bodies,
    valid_deliveries,
)
from conformance.fuzz.strategies.broken import BROKEN, INVALID, is_json, not_json
from conformance.fuzz.strategies.example import KINDS, Example, Oddity, kind_of
from conformance.fuzz.strategies.forged import forged_examples
from conformance.fuzz.strategies.malformed import MUTATED, malformed_examples, violating_examples
from conformance.fuzz.strategies.valid import DOCUMENTED, valid_examples
from conformance.fuzz.strategies.values import texts
from conformance.model.exchange import Exchange, Role
from conformance.model.sentence import EMPTY, Sentence
from conformance.protocol.dialect import Secret, verify
from conformance.protocol.encodings import compact
from conformance.protocol.message import build
from conformance.protocol.schemes import Scheme
from conformance.protocol.signing import Signer
from conformance.protocol.validation import message_problems, validator
from conformance.scenario import dialects
from conformance.scenario.dialects import load
from conformance.scenario.load import built_in
from conformance.wire.curl import curl

GUIDE = load("guide")
NOW = 1_769_845_800.0
DIGITS = "1234567890123456789"
SECRET = "a lighthouse, 燈塔"
SHAPES = {
    (scenario.rule.id, case)
    for scenario in built_in("receiver")
    for case in (None, *(each.name for each in scenario.cases))
}
BASE64 = replace(GUIDE, name="base64", encoding="base64")
laws = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))


def second_validator() -> jsonschema_rs.Draft202012Validator:
    """An independent implementation of JSON Schema, in Rust."""
    schemas = {
        name: validator(name).schema for name in ("message", *(f"message-{n}" for n in DOCUMENTED))
    }
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in schemas.values()])
    return jsonschema_rs.Draft202012Validator(schemas["message"], registry=registry)


SECOND_VALIDATOR = second_validator()


@laws
@given(messages())
def test_every_valid_message_fits_the_schemas(message):
    assert message_problems(message) == []
    assert SECOND_VALIDATOR.is_valid(message)


@pytest.mark.parametrize("msg_type", [*sorted(DOCUMENTED), 37])
def test_a_type_can_be_selected(msg_type):
    @settings(laws, max_examples=20)
    @given(messages(msg_type))
    def drawn(message):
        assert message["msgType"] == msg_type
        assert message_problems(message) == []

    drawn()


@laws
@given(valid_bodies())
def test_every_valid_body_parses_to_a_valid_message(body):
    assert is_json(body)
    assert message_problems(json.loads(body)) == []
    orjson.loads(body)


@laws
@given(violating_examples)
def test_a_breaking_example_violates_the_schema(example):
    message = example.fields(DIGITS, NOW)
    assert message_problems(message) != []
    assert not SECOND_VALIDATOR.is_valid(message)


@laws
@given(valid_examples)
def test_ids_and_accounts_have_64_characters_at_most(example):
    fields = example.fields(DIGITS, NOW)
    for name in ("key", "msgId", "fromUser", "toUser"):
        assert len(fields[name].encode("utf-16-le")) <= 2 * 64
    assert DIGITS in fields["msgId"]


@laws
@given(valid_examples)
def test_numbers_of_the_envelope_are_int64_and_the_type_is_an_int(example):
    fields = example.fields(DIGITS, NOW)
    assert all(-(2**63) <= fields[name] < 2**63 for name in ("timestamp", "createTime"))
    assert -(2**31) <= fields["msgType"] < 2**31


def test_all_planes_of_unicode_are_drawn():
    seen = set()

    @settings(laws, max_examples=2000)
    @given(texts())
    def drawn(text):
        seen.update(ord(character) >> 16 for character in text)

    drawn()
    assert seen == set(range(17))


@laws
@given(st.one_of(valid_examples, malformed_examples, forged_examples(GUIDE)))
def test_every_shape_is_an_existing_rule_and_case(example):
    assert {oddity.shape for oddity in example.oddities if oddity.shape is not None} <= SHAPES


@laws
@given(st.one_of(valid_examples, malformed_examples))
def test_the_pieces_of_an_example_have_one_oddity_each(example):
    assert all(len(piece.oddities) == 1 for piece in example.pieces())


@laws
@given(malformed_bodies())
def test_a_malformed_body_is_small_enough_for_any_limit(body):
    assert len(body) <= 100 * 1024


def test_no_parser_accepts_broken_json():
    body = compact(build("text", DIGITS, int(NOW)).fields())
    for mark in BROKEN:
        for at in range(60):
            broken = not_json(body, mark, at)
            assert not is_json(broken), mark
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(broken)


def test_invalid_bytes_are_not_utf8():
    for piece in INVALID:
        with pytest.raises(UnicodeDecodeError):
            piece.decode()


@laws
@given(MUTATED)
def test_an_edit_changes_the_body(oddity):
    assert Example((oddity,)).body(DIGITS, NOW) != Example().body(DIGITS, NOW)


@pytest.mark.parametrize(
    "dialect",
    [pytest.param(each, id=each.name) for each in (GUIDE, load("timestamp-body"), BASE64)],
)
def test_no_forgery_has_a_valid_signature(dialect):
    signer = Signer(dialect, Secret(SECRET.encode()))

    @laws
    @given(forged_examples(dialect))
    def drawn(example):
        signed = signer.sign(dialect.timestamp(NOW), example.body(DIGITS, NOW))
        forged = example.tampering(signed, signer)
        assert not forged.signing.authentic
        if forged.timestamp is None or len(forged.signatures) != 1:
            return
        parts = forged.timestamp, forged.body, forged.signatures[0]
        # A content type alone is not a forgery, so those come with another secret.
        assert not verify(dialect, signer.secret, *parts)

    drawn()


def test_forgeries_are_of_messages_of_every_kind():
    types, marks = set(), set()

    @settings(laws, max_examples=300, derandomize=True, database=None)
    @given(forged_examples(GUIDE))
    def drawn(example):
        fields = example.fields(DIGITS, NOW)
        if example.oddities[0].shape[0] != "receiver.signature.tampered-body":
            types.add(fields["msgType"])
            marks.update(name for name in ("isHistory", "isSelfMsg") if fields[name])

    drawn()
    assert types == DOCUMENTED
    assert marks == {"isHistory", "isSelfMsg"}


@laws
@given(forged_examples(GUIDE))
def test_a_forgery_of_another_kind_is_tried_with_a_plain_message_first(example):
    (oddity,) = example.oddities
    if oddity.simpler is not None:
        assert [piece.oddities for piece in example.pieces()] == [(oddity.simpler,), (oddity,)]


@laws
@given(forged_examples(GUIDE))
def test_a_body_of_equal_meaning_reads_as_what_was_signed(example):
    (oddity,) = example.oddities
    if oddity.shape != ("receiver.signature.equal-meaning", None):
        return
    signer = Signer(GUIDE, Secret(SECRET.encode()))
    signed = signer.sign(b"1700000000", example.body(DIGITS, NOW))
    forged = oddity.tampering(signed, signer)
    if forged.body == signed.body:
        assert float(forged.timestamp) == 1_700_000_000
        return
    meant = json.loads(signed.body)
    ways = [forged.body.decode("utf-8", errors) for errors in ("ignore", "replace")]
    assert meant in [json.loads(text.strip("\0\ufeff")) for text in ways]


@given(st.data())
@settings(laws, max_examples=20)
def test_no_two_draws_share_an_id(data):
    drawn = [data.draw(messages())["msgId"] for _ in range(2)]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("strategy", [valid_deliveries, malformed_deliveries])
def test_a_delivery_is_signed_over_its_bytes(strategy):
    @settings(laws, max_examples=50)
    @given(strategy(SECRET))
    def drawn(delivery):
        headers = dict(delivery.headers)
        stamp, signature = (headers[f"X-Webhook-{name}"] for name in ("Timestamp", "Signature"))
        parts = stamp.encode(), delivery.body, signature.encode()
        assert verify(GUIDE, SECRET.encode(), *parts)

    drawn()


def test_a_forged_delivery_may_lack_headers_and_have_them_twice():
    seen = set()

    @settings(laws, max_examples=500, derandomize=True, database=None)
    @given(forged_deliveries(SECRET))
    def drawn(delivery):
        seen.add(sum(name == "X-Webhook-Signature" for name, _ in delivery.headers))

    drawn()
    assert seen == {0, 1, 2}


def test_the_pieces_of_a_text_are_its_kinds_of_characters():
    oddity = Oddity("content", Sentence("content"), fields={"content": "a\0😀<"})
    pieces = [piece.oddities[0] for piece in Example((oddity,)).pieces()]
    assert [str(piece.where) for piece in pieces] == [
        "content",
        "content with U+0000",
        "content with characters beyond U+FFFF",
        "content with quotes, backslashes or markup",
    ]
    assert [piece.fields["content"] for piece in pieces] == ["axxx", "a\0xx", "ax😀x", "axx<"]


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        pytest.param("\0", "U+0000", id="NUL"),
        pytest.param("\x1b", "control characters", id="escape"),
        pytest.param("\ud83d", "half a surrogate pair", id="surrogate"),
        pytest.param("😀", "characters beyond U+FFFF", id="emoji"),
        pytest.param("\u202e", "right-to-left text, or marks of direction", id="override"),
        pytest.param("ש", "right-to-left text, or marks of direction", id="Hebrew"),
        pytest.param("\u0301", "combining marks", id="accent"),
        pytest.param("\ue000", "unassigned or private characters", id="private"),
        pytest.param("測", "characters beyond ASCII", id="Chinese"),
    ],
)
def test_a_character_is_of_the_first_kind_that_fits(character, kind):
    assert str(KINDS[kind_of(character)][0]) == kind


def test_a_plain_character_is_of_no_kind():
    assert {kind_of(c) for c in "aZ09 .,:-_"} == {None}


# A stand-in for curl that writes what it would send to files.
SHELL = """
curl() {
  for word; do printf '%s\\n' "$word"; done > words
  cat > body
}
LINE
printf %s "$TS" > ts
printf %s "$ID" > id
"""


def _ways():
    """An example for each way of forging."""
    examples = {}

    @settings(laws, max_examples=300, derandomize=True, database=None)
    @given(forged_examples(GUIDE))
    def drawn(example):
        oddity = example.oddities[0].simpler or example.oddities[0]
        examples.setdefault((str(oddity.where), oddity.shape), example)

    drawn()
    assert len(examples) > 30
    return examples


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_shell_line_repeats_a_forgery_with_a_new_time_and_id(tmp_path):
    for number, ((where, _), example) in enumerate(_ways().items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        check_shell_line(where, example, folder)


def check_shell_line(where, example, folder):
    """Run the line of an example in a shell: it makes the same forgery with a new time and id."""
    signer = Signer(GUIDE, Secret(b"hookproof"))
    profile = ReceiverProfile(
        "http://h/", GUIDE, Scheme(signer, None, EMPTY), frozenset({200}), 5.0
    )
    signed = signer.sign(GUIDE.timestamp(NOW), example.body(DIGITS, NOW))
    sent = compose_signed(example.tampering(signed, signer), {}, profile, DIGITS)
    line = curl(_exchange(sent), GUIDE)
    subprocess.run(
        ["sh", "-c", SHELL.replace("LINE", line)],
        env={"HOOKPROOF_SECRET": "hookproof", "PATH": os.environ["PATH"]},
        cwd=folder,
        check=True,
    )
    words, body, stamp, digits = ((folder / name).read_bytes() for name in FILES)
    fresh = example.body(digits.decode() or DIGITS, NOW)
    forgery = example.tampering(signer.sign(stamp, fresh), signer)
    lines = words.decode("latin-1").splitlines()
    # The shell flips the bit at its old place, though the new id may have another length.
    assert body in (forgery.body, sent.request.body.replace(DIGITS.encode(), digits)), where
    signatures = [signature.decode("latin-1") for signature in forgery.signatures]
    assert _headers(lines, "X-Webhook-Signature") == signatures, where
    stamps = [forgery.timestamp.decode("latin-1")] if forgery.timestamp is not None else []
    assert _headers(lines, "X-Webhook-Timestamp") == stamps, where


FILES = ("words", "body", "ts", "id")


def _headers(words, name):
    """The values of a header in curl's words, where `name;` stands for an empty one."""
    headers = [word for word in words if word.startswith((f"{name}:", f"{name};"))]
    return [header[len(name) + 1 :].strip() for header in headers]


def _exchange(sent):
    return Exchange(
        id=1, role=Role.PROBE, rule=None, case=None, step=0, msg_id=sent.msg_id,
        request=sent.request, signing=sent.signing, answer=None, fault=None, detail="",
        started=0.0, sent=0.0, ended=0.0,
    )  # fmt: skip


def test_a_dialect_is_chosen_by_name():
    assert forged_deliveries(SECRET, "timestamp-body") is not None
    assert dialects.names() == ["guide", "timestamp-body"]
