"""How a delivery is signed, judged by signatures of openssl."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import replace

import pytest

from conformance.checks.sender.signing import fits, scheme_of
from conformance.model.sentence import EMPTY
from conformance.protocol.dialect import Secret, parse_template
from conformance.protocol.schemes import Scheme
from conformance.protocol.signing import Signer
from conformance.scenario.dialects import load
from tests.engine.hand_made import GUIDE, NOW, OTHER, SCHEME, SECRET, SIGNER, attempt, message

if shutil.which("openssl") is None:
    pytest.skip("openssl is not installed", allow_module_level=True)

STAMP = b"%d" % NOW
BODY = json.dumps(message(content="a & b <燈>"), ensure_ascii=False).encode()


def openssl(signed, secret=SECRET):
    """The digest of `signed`, as openssl has it."""
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{secret.hex()}"]
    made = subprocess.run([*command, "-binary"], input=signed, capture_output=True, check=True)
    return made.stdout


def signed(signature, body=BODY):
    return attempt(body=body, stamp=STAMP, signature=signature)


DIGEST = openssl(STAMP + b":" + BODY)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(DIGEST.hex().encode(), id="as the guide says"),
        pytest.param(DIGEST.hex().upper().encode(), id="upper case"),
        pytest.param(b"sha256=" + DIGEST.hex().encode(), id="behind sha256="),
        pytest.param(base64.b64encode(DIGEST), id="in Base64"),
        pytest.param(b" " + DIGEST.hex().encode() + b" ", id="between spaces"),
    ],
)
def test_a_signature_that_is_right_but_for_its_spelling_fits(signature):
    assert fits(SCHEME, signed(signature), GUIDE)
    assert scheme_of(signed(signature), SIGNER) == SCHEME


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(b"", id="empty"),
        pytest.param(DIGEST.hex().encode()[:-1], id="a digit less"),
        pytest.param(DIGEST.hex().encode()[:-1] + b"g", id="another digit"),
        pytest.param(b"z" * 64, id="no hex"),
        pytest.param(b"=" * 44, id="no Base64"),
        pytest.param(b"\xff\xfe" * 22, id="no text"),
        pytest.param(DIGEST.hex().encode() * 2, id="twice"),
    ],
)
def test_any_other_bytes_are_only_ever_a_wrong_signature(signature):
    assert not fits(SCHEME, signed(signature), GUIDE)
    assert scheme_of(signed(signature), SIGNER) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(STAMP + BODY, "without a separator", id="without the colon"),
        pytest.param(STAMP + b"." + BODY, "a dot", id="a dot"),
        pytest.param(STAMP + b"\n" + BODY, "a newline", id="a newline"),
        pytest.param(BODY, "without the timestamp", id="the body alone"),
        pytest.param(BODY + STAMP, "the body first", id="the body first"),
    ],
)
def test_another_string_to_sign_is_named(text, said):
    scheme = scheme_of(signed(openssl(text).hex().encode()), SIGNER)
    assert said in str(scheme.description)
    assert fits(scheme, signed(openssl(text).hex().encode()), GUIDE)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pytest.param(
            json.dumps(json.loads(BODY)).encode(), "Python's json.dumps", id="Python, escaped"
        ),
        pytest.param(
            json.dumps(json.loads(BODY), separators=(",", ":"), ensure_ascii=False).encode(),
            "JSON.stringify",
            id="without spaces",
        ),
        pytest.param(
            json.dumps(json.loads(BODY), separators=(",", ":"), ensure_ascii=False)
            .replace("<", "\\u003c")
            .replace(">", "\\u003e")
            .replace("&", "\\u0026")
            .encode(),
            "Go's encoder",
            id="Go, escaped",
        ),
    ],
)
def test_a_body_that_was_written_again_after_signing_is_named(written, said):
    scheme = scheme_of(signed(openssl(STAMP + b":" + written).hex().encode()), SIGNER)
    assert said in str(scheme.description)


@pytest.mark.parametrize(
    ("secret", "key", "said"),
    [
        pytest.param(b"00ff10aa00ff10aa", bytes.fromhex("00ff10aa00ff10aa"), "from hex", id="hex"),
        pytest.param(b"c2VjcmV0LXNlY3JldA==", b"secret-secret", "from Base64", id="Base64"),
    ],
)
def test_a_secret_that_was_decoded_first_is_named(secret, key, said):
    requested = Signer(GUIDE, Secret(secret))
    scheme = scheme_of(signed(openssl(STAMP + b":" + BODY, key).hex().encode()), requested)
    assert said in str(scheme.description)


def test_a_signature_with_another_secret_fits_that_secret_alone():
    other = signed(openssl(STAMP + b":" + BODY, OTHER).hex().encode())
    assert not fits(SCHEME, other, GUIDE)
    assert fits(SCHEME, other, GUIDE, OTHER)


def test_headers_of_another_dialect_are_looked_for_under_its_names():
    dialect = replace(GUIDE, signature_header="X-Other", parts=parse_template("{timestamp}{body}"))
    right = openssl(STAMP + BODY).hex().encode()
    other = attempt(body=BODY, stamp=STAMP)
    named = (*other.request.headers[:-1], (b"X-Other", right))
    came = replace(other, request=replace(other.request, headers=named))
    assert fits(Scheme(Signer(dialect, SECRET), None, EMPTY), came, GUIDE)


def test_a_dialect_in_base64_is_not_read_as_hex():
    dialect = replace(GUIDE, encoding="base64")
    scheme = Scheme(Signer(dialect, SECRET), None, EMPTY)
    assert fits(scheme, signed(base64.b64encode(DIGEST)), dialect)
    assert not fits(scheme, signed(DIGEST.hex().encode()), dialect)


def test_the_dialect_without_a_colon_is_known_by_its_name():
    scheme = scheme_of(signed(openssl(STAMP + BODY).hex().encode()), SIGNER)
    assert scheme.signer.dialect == load("timestamp-body")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b"\xff"], ids=["empty", "cut", "deep", "bytes"]
)
def test_a_body_that_is_no_json_can_be_signed_too(body):
    right = signed(openssl(STAMP + b":" + body).hex().encode(), body)
    assert scheme_of(right, SIGNER) == SCHEME
    assert scheme_of(signed(b"0" * 64, body), SIGNER) is None
