"""After tampering a correct receiver refuses a request; after a mutation its signature is right."""

import json

import pytest

from conformance.protocol.dialect import Secret, verify
from conformance.protocol.encodings import compact
from conformance.protocol.message import build
from conformance.protocol.mutations import MUTATIONS
from conformance.protocol.signing import Signer
from conformance.protocol.tampering import TAMPERINGS
from conformance.scenario.dialects import load

SIGNERS = {name: Signer(load(name), Secret(b"a-secret")) for name in ("guide", "timestamp-body")}
FIELDS = build("text", "7654321098765432120", 1_700_000_000).fields() | {
    "content": "a \ufffd 測試 b"
}
BODY = compact(FIELDS)


def accepts(signer, signed):
    """What a careful receiver does: one header each, the signature over the bytes."""
    if signed.timestamp is None or len(signed.signatures) != 1:
        return False
    return verify(
        signer.dialect, signer.secret, signed.timestamp, signed.body, signed.signatures[0]
    )


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_tampered_request_is_not_signed_well(tampering):
    signer = SIGNERS["guide"]
    right = signer.sign(b"1700000000", BODY)
    assert accepts(signer, right)
    tampered = TAMPERINGS[tampering](right, signer)
    assert not accepts(signer, tampered)
    assert not tampered.signing.authentic


def test_a_moved_digit_is_signed_well_where_nothing_separates():
    signer = SIGNERS["timestamp-body"]
    assert accepts(signer, TAMPERINGS["moved-digit"](signer.sign(b"1700000000", BODY), signer))


@pytest.mark.parametrize("tampering", ["append-space", "pretty", "duplicate-key-front"])
def test_bytes_of_equal_meaning_parse_to_what_was_signed(tampering):
    signer = SIGNERS["guide"]
    tampered = TAMPERINGS[tampering](signer.sign(b"1700000000", BODY), signer)
    assert json.loads(tampered.body) == FIELDS


def test_an_invalid_byte_decodes_lossily_to_what_was_signed():
    signer = SIGNERS["guide"]
    tampered = TAMPERINGS["invalid-byte"](signer.sign(b"1700000000", BODY), signer)
    assert tampered.body != BODY
    assert json.loads(tampered.body.decode("utf-8", "replace")) == FIELDS


def test_a_flipped_body_is_another_message_and_still_json():
    signer = SIGNERS["guide"]
    tampered = TAMPERINGS["flip-body"](signer.sign(b"1700000000", BODY), signer)
    assert json.loads(tampered.body) != FIELDS


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_changes_the_body(mutation):
    assert MUTATIONS[mutation](BODY) != BODY


@pytest.mark.parametrize(
    "mutation",
    ["cut-short", "empty", "unquoted", "trailing-comma", "not-json", "invalid-utf8", "cut-utf8"],
)
def test_a_broken_body_is_not_json(mutation):
    with pytest.raises(ValueError):  # noqa: PT011 - UnicodeDecodeError or JSONDecodeError
        json.loads(MUTATIONS[mutation](BODY))


@pytest.mark.parametrize(("mutation", "last"), [("other-id-first", True), ("other-id-last", False)])
def test_a_doubled_id_is_read_as_the_messages_own_or_as_another(mutation, last):
    read = json.loads(MUTATIONS[mutation](BODY))["msgId"]
    assert (read == FIELDS["msgId"]) is last
