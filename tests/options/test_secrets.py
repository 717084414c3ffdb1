"""Secrets: where they are read from, and that no spelling of one stays in what is stored or shown."""

import base64
import html
import json
import os
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.errors import InputError
from conformance.model.exchange import Answer, Role
from conformance.options.secrets import (
    LARGEST,
    MASK,
    Mask,
    header_secrets,
    mask_of,
    other_secret,
    read_secret,
)
from conformance.protocol.dialect import Secret
from conformance.trace import Trace
from tests.trace.parts import exchange

SECRETS = {
    "one character": b"q",
    "letters": b"swordfish",
    "a common word": b"secret",
    "digits": b"31415926",
    "quotes and slashes": b"a\"b'c/d\\e<f>&g",
    "spaces": b"two words and one",
    "a newline": b"first\nsecond",
    "percent": b"100%25+more",
    "not ASCII": "燈塔-Ünï-🗝".encode(),
    "10 KiB": b"Long0123" * 1280,
}


def escaped(template):
    return lambda secret: "".join(template.format(ord(char)) for char in secret.decode()).encode()


ENCODINGS = {
    "as it is": bytes,
    "upper case": bytes.upper,
    "lower case": bytes.lower,
    "swapped case": bytes.swapcase,
    "reversed": lambda secret: secret.decode()[::-1].encode(),
    "hex": lambda secret: secret.hex().encode(),
    "upper hex": lambda secret: secret.hex().upper().encode(),
    "Base32": base64.b32encode,
    "Base64": base64.b64encode,
    "URL-safe Base64": base64.urlsafe_b64encode,
    "Base64 without padding": lambda secret: base64.b64encode(secret).rstrip(b"="),
    "Base64 after 1 byte": lambda secret: base64.b64encode(b":" + secret),
    "Base64 after 2 bytes": lambda secret: base64.b64encode(b"u:" + secret),
    "Base64 of a login": lambda secret: base64.b64encode(b"user:" + secret),
    "Base64 amid others": lambda secret: base64.b64encode(b'{"a":"' + secret + b'"}'),
    "quoted": lambda secret: quote(secret).encode(),
    "quoted with slashes": lambda secret: quote(secret, safe="").encode(),
    "quoted in lower hex": lambda secret: quote(secret, safe="").lower().encode(),
    "a form's value": lambda secret: quote_plus(secret).encode(),
    "every byte quoted": lambda secret: b"".join(b"%%%02X" % byte for byte in secret),
    "every byte quoted, lower": lambda secret: b"".join(b"%%%02x" % byte for byte in secret),
    "HTML": lambda secret: html.escape(secret.decode()).encode(),
    "decimal in HTML": escaped("&#{};"),
    "hex in HTML": escaped("&#x{:x};"),
    "JSON": lambda secret: json.dumps(secret.decode(), ensure_ascii=False)[1:-1].encode(),
    "ASCII JSON": lambda secret: json.dumps(secret.decode())[1:-1].encode(),
    "PHP's JSON": lambda secret: json.dumps(secret.decode())[1:-1].replace("/", r"\/").encode(),
    "all \\u": lambda secret: b"".join(
        b"\\u%04x" % unit for unit in memoryview(secret.decode().encode("utf-16-le")).cast("H")
    ),
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret.decode()))[1:-1].encode(),
    "HTML in JSON": lambda secret: json.dumps(html.escape(secret.decode()))[1:-1].encode(),
    "repr": lambda secret: repr(secret)[2:-1].encode(),
    "repr of a header": lambda secret: repr(secret.decode("latin-1"))[1:-1].encode(),
    "UTF-16": lambda secret: secret.decode().encode("utf-16"),
    "UTF-16, big end first": lambda secret: secret.decode().encode("utf-16-be"),
    "in Latin-1": lambda secret: secret.decode("latin-1").encode(),
}

table = pytest.mark.parametrize(
    ("secret", "encode"),
    [
        pytest.param(secret, encode, id=f"{what}-{how}")
        for what, secret in SECRETS.items()
        for how, encode in ENCODINGS.items()
    ],
)


@table
def test_no_spelling_of_a_secret_stays_in_an_exchange(secret, encode):
    spelling = encode(secret)
    answer = Answer(400, ((b"X-" + spelling, b"<" + spelling + b">"),), b"<" + spelling + b">")
    delivery = exchange(role=Role.ATTEMPT, answer=answer)
    trace = Trace([delivery])
    trace.mask(mask_of(secret))
    [(name, value)], body = trace[1].answer.headers, trace[1].answer.body
    for masked in (name.replace(b"X-", b"", 1), value, body):
        assert MASK in masked
        assert spelling.lower() not in masked.replace(MASK, b"").lower()


@given(st.binary(min_size=1, max_size=40), st.binary(max_size=20), st.binary(max_size=20))
def test_no_secret_survives_its_mask(secret, before, after):
    masked = Mask(secret)(before + secret + after)
    assert not any(secret in piece for piece in masked.split(MASK))


@given(
    st.binary(min_size=6, max_size=40),
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.sampled_from([base64.b64encode, base64.urlsafe_b64encode, base64.b32encode]),
)
def test_a_secret_is_found_within_what_is_encoded_with_it(secret, before, after, encode):
    assert Mask(secret).matches(encode(before + secret + after))


@given(st.text(min_size=1, max_size=30), st.data())
def test_any_of_its_characters_may_be_escaped(text, data):
    escapes = (
        lambda char: (
            quote(char, safe="") if char.encode("utf-8", "replace").decode() == char else char
        ),
        lambda char: f"&#{ord(char)};",
        lambda char: json.dumps(char)[1:-1],
    )
    text = text.encode("utf-8", "replace").decode()
    spelling = "".join(
        data.draw(st.sampled_from(escapes))(char) if char.isprintable() else char for char in text
    )
    assert Mask(text.encode()).matches(spelling.encode())


@given(st.binary(max_size=200))
def test_a_text_without_the_secret_stays_as_it_is(text):
    assert Mask(b"a secret that no text holds")(text) == text


@given(st.text(alphabet="(secret) x", max_size=60))
def test_a_masked_text_is_not_masked_again(text):
    mask = Mask(b"secret")
    once = mask(text.encode())
    assert mask(once) == once


def test_neighbours_that_share_a_character_with_the_secret_go_with_it():
    encoded = base64.b64encode(b"a:swordfis")
    assert Mask(b"swordfis")(encoded) == encoded[:2] + MASK + encoded[-2:]


def test_what_stands_around_an_escaped_secret_stays():
    assert Mask(b"a/b")(rb'{"x\/y":"a\/b%2Fc"}') == rb'{"x\/y":"(secret)%2Fc"}'
    assert Mask(b"k")(b"&amp;k%41") == b"&amp;(secret)%41"


@given(st.integers(3, 30), st.text(max_size=5), st.text(max_size=5))
def test_no_beginning_of_a_secret_stands_before_a_cut(size, before, after):
    secret = b"0123456789-abcdefghij-0123456789"
    cut = secret.decode()[:size]
    assert Mask(secret).text(f"{before}{cut}… {after}") == f"{before}{MASK.decode()}… {after}"


def test_the_rest_of_a_text_is_left_alone():
    text = "answered 400 (a secret that is wrong…), not 200"
    assert Mask(b"a-secret", b"another").text(text) == text


def test_a_secret_that_straddles_a_cut_is_masked_as_a_whole():
    mask = Mask(b"swordfish")
    assert mask.beginning(b"see swordfish here", 8) == b"see (secret)"
    assert mask.beginning(b"see it here", 8) == b"see it h"


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        (b"k3y", {b"k3y"}),
        (b"Bearer k3y", {b"Bearer k3y", b"k3y"}),
        (b"Basic dXNlcjprM3k=", {b"Basic dXNlcjprM3k=", b"dXNlcjprM3k=", b"user:k3y", b"k3y"}),
        (b'Digest a="x", b=y', {b'Digest a="x", b=y', b'a="x", b=y', b"x", b"y"}),
        (b"", set()),
    ],
)
def test_the_credentials_in_a_header_are_secret_too(value, secrets):
    assert header_secrets(value) == secrets


def test_a_secret_is_read_from_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(b"from a file\r\n")
    monkeypatch.setenv("HOOK", "from the environment")
    read = ["file:" + str(tmp_path / "secret"), "env:HOOK", "as it is"]
    assert [bytes(read_secret(text)) for text in read] == [
        b"from a file",
        b"from the environment",
        b"as it is",
    ]


def test_what_is_no_plain_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"x" * (LARGEST + 1))
    places = [
        "/dev/zero",
        tmp_path / "fifo",
        tmp_path,
        tmp_path / "large",
        tmp_path / "none",
        "a\0b",
    ]
    for place in places:
        with pytest.raises(InputError) as raised:
            read_secret(f"file:{place}")
        assert raised.value.sentence.parameters["path"] == str(place)


def test_the_other_secret_is_derived():
    assert (
        other_secret(Secret(b"one")) == other_secret(Secret(b"one")) != other_secret(Secret(b"2"))
    )
