"""The check of what answers reveal: a leak of the secret, and what may only look like one."""

from __future__ import annotations

import base64

import pytest

from conformance.checks.receiver.leaks import reveals_nothing
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.model.exchange import Answer, Request
from conformance.model.rules import Finding, Held, Level, Unjudged
from conformance.model.sentence import EMPTY
from conformance.options.secrets import mask_of
from conformance.protocol.dialect import Secret
from conformance.protocol.schemes import Scheme
from conformance.protocol.signing import Signer
from conformance.trace import Trace
from tests.engine.hand_made import SIGNER
from tests.trace.parts import exchange

SENT = Request("POST", "http://receiver/webhook", (), b'{"content":"by the lighthouse-01"}')


def judged(secret: bytes, *exchanges):
    scheme = Scheme(Signer(SIGNER.dialect, Secret(secret)), None, EMPTY)
    profile = ReceiverProfile(SENT.url, SIGNER.dialect, scheme, frozenset({200}), 5.0)
    (judgement,) = reveals_nothing(exchanges, profile, Level.SHOULD)
    return judgement


def answered(body: bytes, name: bytes = b"X-Answer"):
    return exchange(request=SENT, answer=Answer(401, ((name, b"value"),), body))


@pytest.mark.parametrize(
    ("secret", "body", "expected"),
    [
        pytest.param(b"Qx7-fish", b"not Qx7-fish", Finding, id="as it is"),
        pytest.param(b"Qx7-fish", b"not QX7-FISH", Finding, id="in upper case"),
        pytest.param(b"Qx7-fish", "Qx7-fish".encode("utf-16"), Finding, id="in UTF-16"),
        pytest.param(b"secret", "a secret".encode("utf-16"), Unjudged, id="a word in UTF-16"),
        pytest.param(b"Qx7-fish", b"not Qx7%2Dfish", Finding, id="escaped"),
        pytest.param(b"swordfish", b"no swordfish here", Unjudged, id="a word"),
        pytest.param(b"swordfish", base64.b64encode(b"swordfish"), Finding, id="an encoded word"),
        pytest.param(b"202611", b"on 20261124", Unjudged, id="digits"),
        pytest.param("密碼".encode(), "密碼錯誤".encode(), Unjudged, id="a word beyond ASCII"),
        pytest.param(b"zq9", b"an id: a8zq9x", Unjudged, id="a short one"),
        pytest.param(b"zq9", b"no", Held, id="a short one that is not there"),
        pytest.param(b"lighthouse-01", b'echo: "lighthouse-01"', Unjudged, id="an echo"),
    ],
)
def test_a_secret_in_an_answer_is_a_finding_where_it_cannot_be_chance(secret, body, expected):
    exchanges = [answered(body), answered(b"refused")]
    judgement = judged(secret, *exchanges)
    assert isinstance(judgement, expected)
    if expected is Unjudged:
        assert judgement.code == "secret-too-short"


@pytest.mark.parametrize(
    ("secret", "expected"), [(b"Qx7-fish", Finding), (b"swordfish", Unjudged), (b"zq9", Unjudged)]
)
def test_a_masked_answer_is_judged_as_before(secret, expected):
    trace = Trace([answered(b"not " + secret)])
    trace.mask(mask_of(secret))
    assert isinstance(judged(secret, *trace), expected)


def test_the_name_of_a_header_may_hold_the_secret():
    assert isinstance(judged(b"Qx7-fish", answered(b"", b"X-Qx7-Fish")), Finding)
