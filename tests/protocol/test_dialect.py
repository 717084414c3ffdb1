"""Signing and verifying over bytes, held against vectors that openssl worked out."""

import hashlib
import hmac
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.errors import InputError
from conformance.protocol.dialect import Secret, parse_template, sign, verify
from conformance.scenario import dialects

GUIDE = dialects.load("guide")
TIMESTAMP_BODY = dialects.load("timestamp-body")
BODY = '{"msgId":"1","content":"你好"}'.encode()


@pytest.mark.parametrize("dialect", [GUIDE, TIMESTAMP_BODY], ids=lambda each: each.name)
def test_openssl_makes_the_same_signature(dialect):
    text = b"1625123456" + (b":" if dialect is GUIDE else b"") + BODY
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "your secret", "-r"],
        input=text,
        capture_output=True,
        check=True,
    )
    assert sign(dialect, b"your secret", b"1625123456", BODY) == made.stdout.split()[0]


def test_a_base64_digest_is_the_same_digest():
    signed = sign(replace(GUIDE, encoding="base64"), b"s", b"1", b"{}")
    made = subprocess.run(
        "printf %s '1:{}' | openssl dgst -sha256 -hmac s -binary | openssl base64",
        shell=True,
        capture_output=True,
        check=True,
    )
    assert signed == made.stdout.strip()


@given(st.binary(min_size=1), st.binary(), st.binary())
def test_what_is_signed_verifies(secret, timestamp, body):
    assert verify(GUIDE, secret, timestamp, body, sign(GUIDE, secret, timestamp, body))


@given(st.binary(min_size=1), st.binary(min_size=1), st.data())
def test_any_flipped_bit_of_the_body_breaks_the_signature(secret, body, data):
    at = data.draw(st.integers(0, len(body) * 8 - 1))
    flipped = bytearray(body)
    flipped[at // 8] ^= 1 << at % 8
    assert not verify(GUIDE, secret, b"1", bytes(flipped), sign(GUIDE, secret, b"1", body))


@given(st.binary())
def test_any_bytes_are_only_ever_a_wrong_signature(signature):
    right = sign(GUIDE, b"s", b"1", b"{}")
    assert verify(GUIDE, b"s", b"1", b"{}", signature) is (signature == right)


def test_the_border_between_timestamp_and_body_holds_only_with_a_separator():
    moved = (b"16251234", b"5" + BODY)
    assert sign(GUIDE, b"s", b"162512345", BODY) != sign(GUIDE, b"s", *moved)
    assert sign(TIMESTAMP_BODY, b"s", b"162512345", BODY) == sign(TIMESTAMP_BODY, b"s", *moved)
    assert GUIDE.separated
    assert not TIMESTAMP_BODY.separated


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param("{timestamp}.{body}", b"7.B", id="dot"),
        pytest.param("{body}{timestamp}", b"B7", id="body-first"),
        pytest.param("v1:{timestamp}:{body}", b"v1:7:B", id="prefix"),
        pytest.param("{body}", b"B", id="body-only"),
    ],
)
def test_a_template_says_what_is_signed(template, text):
    dialect = replace(GUIDE, parts=parse_template(template))
    assert (
        sign(dialect, b"s", b"7", b"B") == hmac.new(b"s", text, hashlib.sha256).hexdigest().encode()
    )
    assert dialect.string_to_sign == template


def test_a_secret_does_not_show_itself():
    secret = Secret(b"hunter2-hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"


def test_an_unknown_dialect_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'guide'"):
        dialects.load("guid")


def test_a_dialect_file_is_read(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(
        (dialects.BUILT_IN / "guide.yaml")
        .read_text()
        .replace('"{timestamp}:{body}"', '"{timestamp}|{body}"')
    )
    assert dialects.load(str(path)).string_to_sign == "{timestamp}|{body}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(("encoding: hex", "encoding: hax"), "encoding", id="value"),
        pytest.param(("success: [200]", "succes: [200]"), "succes", id="key"),
        pytest.param(("success: [200]", "success: [200"), r":\d+: not YAML", id="yaml"),
        pytest.param(("success:", "encoding: hex\nsuccess:"), "'encoding' is already", id="twice"),
        pytest.param(("success: [200]", "success: [.inf]"), r":\d+: '.inf' is no", id="infinite"),
        pytest.param(("{timestamp}:{body}", "{timestamp}"), "string-to-sign", id="no-body"),
    ],
)
def test_a_mistake_in_a_dialect_file_is_named(tmp_path, change, message):
    path = tmp_path / "ours.yaml"
    path.write_text((dialects.BUILT_IN / "guide.yaml").read_text().replace(*change))
    with pytest.raises(InputError, match=message):
        dialects.load(str(path))
