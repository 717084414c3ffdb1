"""Strategies for requests that the holder of the secret did not sign: other signatures, timestamps,
headers and bodies, also such as have the same meaning.

Requests that no rule forbids to accept are not drawn: upper-case hex digits, spaces around a header's value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from hypothesis import strategies as st

from conformance.fuzz.strategies.example import ID, Example, Oddity
from conformance.fuzz.strategies.valid import Oddities
from conformance.model.sentence import Sentence
from conformance.protocol.dialect import Dialect, sign
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.message import build
from conformance.protocol.signing import Signed, Signer
from conformance.protocol.tampering import (
    TAMPERINGS,
    WRONG_SECRET,
    Tampering,
    on_body,
    on_signature,
    quoted,
    shell,
)

_HEX = "0123456789abcdef"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SIG = 'printf %s "$SIG"'

_SECRETS = ("secret", "changeme", "your_secret_key", "webhook_secret", "test", "null", "undefined")
_PLACEHOLDERS = (
    *("0" * 64, "f" * 64, "0", "1", "-", "*", "null", "undefined", "None", "true", "false"),
    *("[object Object]", "%00", "'", '"', "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
)  # fmt: skip
"""Header values that faulty code produces; the last one is the digest of nothing."""
_CONTENT_TYPES = (
    *("text/plain", "text/html", "application/x-www-form-urlencoded", "multipart/form-data"),
    *("application/octet-stream", "application/xml", "application/json; charset=utf-16", "x", None),
)
_PADDING = (b" ", b"\n", b"\t", b"\r\n", b"\0", b"\xef\xbb\xbf")
_UNDECODABLE = (b"\xff", b"\x80", b"\xc3", b"\xe6\xb8", b"\xed\xa0\xbd")


def _forged(what: Sentence, rule: str, tampering: Tampering, **more: object) -> Oddity:
    return Oddity("forged", what, (f"receiver.signature.{rule}", None), tampering=tampering, **more)  # type: ignore[arg-type]


def _character(at: int) -> Oddity:
    def tamper(signed: Signed, signer: Signer) -> Signed:
        correct = signed.signatures[0].decode()
        digits = _HEX if signer.dialect.encoding == "hex" else _BASE64
        # The last characters of Base64 contain bits that a decoder ignores.
        place = at % (len(correct) if digits == _HEX else len(correct) - 3)
        other = digits[(digits.index(correct[place]) + 1) % len(digits)]
        words = f"$({_SIG} | cut -c 1-{place})" if place else ""
        words += f"$({_SIG} | cut -c {place + 1} | tr {digits} {digits[1:]}{digits[0]})"
        words += f"$({_SIG} | cut -c {place + 2}-)"
        changed = (correct[:place] + other + correct[place + 1 :]).encode()
        return replace(signed, signatures=(changed,), signing=shell(signed, signatures=(words,)))

    where = Sentence("a signature with one character changed")
    return _forged(where, "one-character", tamper)


def _truncated(percent: int) -> Oddity:
    def tamper(signed: Signed, signer: Signer) -> Signed:
        correct = signed.signatures[0]
        length = max(1, (len(correct) - 3) * percent // 100)
        words = f"$({_SIG} | cut -c 1-{length})"
        return replace(
            signed, signatures=(correct[:length],), signing=shell(signed, signatures=(words,))
        )

    return _forged(Sentence("a truncated signature"), "truncated", tamper)


def _longer(tail: str) -> Oddity:
    where = Sentence("a signature with extra characters at its end")
    words = "${SIG}" + quoted(tail)
    return _forged(
        where, "overlong", on_signature(lambda signature: (signature + tail.encode(),), words)
    )


def _replaced(value: str) -> Oddity:
    is_digest = re.fullmatch("[0-9a-f]{64}", value) is not None
    where = (
        Sentence("a signature of other hex digits")
        if is_digest
        else Sentence("a word in place of the signature")
    )
    rule = "wrong-secret" if is_digest else "non-hex"
    return _forged(where, rule, on_signature(lambda _: (value.encode(),), quoted(value)))


def _other_secret(secret: str, content_type: str | None = "application/json") -> Oddity:
    def tamper(signed: Signed, signer: Signer) -> Signed:
        other = secret if secret.encode() != bytes(signer.secret) else WRONG_SECRET
        wrong = sign(signer.dialect, other.encode(), signed.signing.timestamp, signed.body)
        return replace(signed, signatures=(wrong,), signing=shell(signed, secret=other))

    where = Sentence("a signature made with another secret")
    if content_type != "application/json":
        where += Sentence(" (Content-Type {content_type})", content_type=str(content_type))
    return _forged(where, "wrong-secret", tamper, headers={"Content-Type": content_type})


def _stamp(before: str, after: str) -> Oddity:
    # Whether int() or Number() would read it as the signed time.
    equal = before in ("", "0", "+") and after in ("", ".0")
    where = Sentence("a timestamp that differs from the signed one")
    if equal:
        where = Sentence("the signed time in another notation")

    def tamper(signed: Signed, signer: Signer) -> Signed:
        stamp = before.encode() + signed.signing.timestamp + after.encode()
        words = shell(signed, stamp=f"{before}${{TS}}{after}")
        return replace(signed, timestamp=stamp, signing=words)

    return _forged(where, "equal-meaning" if equal else "tampered-timestamp", tamper)


def _shifted(seconds: int) -> Oddity:
    def tamper(signed: Signed, signer: Signer) -> Signed:
        stamp = b"%d" % (int(signed.signing.timestamp) + seconds)
        words = shell(signed, stamp=f"$((TS+{seconds}))")
        return replace(signed, timestamp=stamp, signing=words)

    where = Sentence("a timestamp that differs from the signed one")
    return _forged(where, "tampered-timestamp", tamper)


def _fixed_stamp(value: str) -> Oddity:
    def tamper(signed: Signed, signer: Signer) -> Signed:
        return replace(signed, timestamp=value.encode(), signing=shell(signed, stamp=quoted(value)))

    where = Sentence("a timestamp that differs from the signed one")
    return _forged(where, "tampered-timestamp" if value else "missing-timestamp", tamper)


def _tampered(what: Sentence, change: Callable[[bytes], bytes]) -> Oddity:
    return _forged(what, "tampered-body", on_body(change))


def _flipped(at: int, bit: int) -> Oddity:
    def change(body: bytes) -> bytes:
        place = at % len(body)
        return body[:place] + bytes([body[place] ^ 1 << bit]) + body[place + 1 :]

    return _tampered(Sentence("a body with one bit flipped"), change)


def _field(name: str, value: object) -> Oddity:
    def change(body: bytes) -> bytes:
        return ENCODINGS["compact"]({**json.loads(body), name: value})

    return _tampered(Sentence("a {name} that differs from the signed one", name=name), change)


def _without(name: str) -> Oddity:
    def change(body: bytes) -> bytes:
        fields = json.loads(body)
        fields.pop(name)
        return ENCODINGS["compact"](fields)

    return _tampered(Sentence("{name} removed from the body", name=name), change)


def _appended(text: bytes) -> Oddity:
    where = Sentence("extra bytes after the signed body")
    return _tampered(where, lambda body: body + text)


def _equal(what: Sentence, change: Callable[[bytes], bytes], **more: object) -> Oddity:
    return _forged(what, "equal-meaning", on_body(change), **more)


def _padded(padding: bytes, *, before: bool) -> Oddity:
    where = Sentence("whitespace around the signed body")
    return _equal(where, lambda body: padding + body if before else body + padding)


def _reencoded(form: str) -> Oddity:
    where = Sentence("the signed JSON in another encoding")
    # With characters to escape, so that every encoding differs from the compact one.
    fields = {"content": "測試 <1 & 2/3>"}
    return _equal(where, lambda body: ENCODINGS[form](json.loads(body)), fields=fields)


def _doubled(name: str) -> Oddity:
    where = Sentence("a second {name} before the signed one", name=name)
    key = json.dumps(name).encode()
    return _equal(where, lambda body: b"{" + key + b':"x",' + body[1:])


def _lossy(piece: bytes, *, replaced: bool) -> Oddity:
    """Bytes that a lossy decoder drops, or that it decodes to the U+FFFD that was signed."""
    where = Sentence("bytes that a lossy decoder makes equal")
    mark = "\N{REPLACEMENT CHARACTER}".encode()
    if replaced:
        return _equal(
            where, lambda body: body.replace(mark, b"\xff"), fields={"content": "a \ufffd b"}
        )
    return _equal(where, lambda body: body.replace(b'"content":"', b'"content":"' + piece))


_TAMPERINGS = {
    "missing-signature": Sentence("no signature"),
    "missing-both": Sentence("neither timestamp nor signature"),
    "empty-signature": Sentence("an empty signature"),
    "non-hex": Sentence("a word in place of the signature"),
    "non-ascii": Sentence("a signature with bytes beyond ASCII"),
}


def _by_name(name: str, what: Sentence, rule: str | None = None) -> Oddity:
    return _forged(what, rule or name, TAMPERINGS[name])


_TWO = Sentence("two signatures, one of them wrong")
_HEADERS: Oddities = st.one_of(
    st.one_of(st.sampled_from((63, 62, 61, 0, 1, 31, 32)), st.integers(0, 63)).map(_character),
    st.integers(0, 99).map(_truncated),
    st.text("0123456789abcdefz=.-", min_size=1, max_size=70).map(_longer),
    st.one_of(st.sampled_from(_PLACEHOLDERS), st.binary(min_size=32, max_size=32).map(bytes.hex)).map(
        _replaced
    ),
    st.builds(_other_secret, st.one_of(st.sampled_from(_SECRETS), st.text("abc01", min_size=1))),
    st.builds(_other_secret, st.sampled_from(_SECRETS), st.sampled_from(_CONTENT_TYPES)),
    st.sampled_from(
        [
            *(_by_name(name, what) for name, what in _TAMPERINGS.items()),
            _by_name(
                "of-unsent", Sentence("the signature of another body"), "other-message"
            ),
            *(_by_name(name, _TWO, "duplicate-header") for name in ("wrong-first", "wrong-last")),
        ]
    ),
)  # fmt: skip
_STAMPS: Oddities = st.one_of(
    st.one_of(st.integers(-(10**6), -1), st.integers(1, 10**6)).map(_shifted),
    st.builds(
        _stamp, st.sampled_from(("", "+", "-", "0", "1")), st.sampled_from(("x", ".0", "0", "e0"))
    ),
    st.builds(_stamp, st.sampled_from(("+", "0", "00")), st.just("")),
    st.sampled_from(("", "0", "null", "NaN", "9999999999", "2026-01-02T03:04:05Z")).map(
        _fixed_stamp
    ),
    st.just(_by_name("missing-timestamp", Sentence("no timestamp"))),
)
_DIGIT_MOVED = Sentence("the timestamp's last digit in the body")
_MOVED_DIGIT = _by_name("moved-digit", _DIGIT_MOVED)
_BODIES: Oddities = st.one_of(
    st.builds(_flipped, st.integers(0, 2000), st.integers(0, 7)),
    st.builds(
        _field,
        st.sampled_from(("content", "fromUser", "toUser", "key", "msgType", "admin")),
        st.sampled_from(("forged", 49, None, {"url": "https://forged.test"})),
    ),
    st.sampled_from(("content", "fromUser", "isSelfMsg", "timestamp")).map(_without),
    st.sampled_from((b"x", b"{}", b"\n{}", b"//", b"}")).map(_appended),
)
_EQUALS: Oddities = st.one_of(
    st.builds(_padded, st.sampled_from(_PADDING), before=st.booleans()),
    st.sampled_from(sorted(ENCODINGS.keys() - {"compact"})).map(_reencoded),
    st.sampled_from(("key", "msgId", "content")).map(_doubled),
    st.builds(_lossy, st.sampled_from(_UNDECODABLE), replaced=st.booleans()),
)


_EXEMPT_KINDS = {
    "history": "isHistory true",
    "self": "isSelfMsg true",
    "image": "msgType 3",
    "voice": "msgType 34",
    "video": "msgType 43",
    "emoji": "msgType 47",
    "link": "msgType 49",
    "system": "msgType 10000",
    "recall": "msgType 10002",
}
"""Kinds of messages that a receiver may wrongly exempt from the check → the field that marks them."""


def _in_message(oddity: Oddity, kind: str | None) -> Oddity:
    """The same forgery in a message of `kind`; None for a plain one."""
    if kind is None:
        return oddity
    plain = build("text", ID, 0).fields()
    fields = {
        name: value
        for name, value in build(kind, ID, 0).fields().items()
        if value != plain[name] and name != "createTime"
    }
    where = oddity.where + Sentence(" ({kinds})", kinds=_EXEMPT_KINDS[kind])
    return replace(oddity, where=where, fields=fields, simpler=oddity)


@cache
def forged_examples(dialect: Dialect) -> st.SearchStrategy[Example]:
    """Messages that were changed after signing, or wrongly signed, in ways that `dialect` can detect.
    Most are plain; those with a wrong signature are of every kind."""
    kinds = st.sampled_from((None, "history", "self", *_EXEMPT_KINDS))
    headers = st.builds(_in_message, _HEADERS, kinds)
    strategies = [headers, headers, _BODIES, _EQUALS]
    if dialect.signs_timestamp:
        strategies.append(_STAMPS)
    if dialect.separated:
        strategies.append(st.just(_MOVED_DIGIT))
    return st.one_of(strategies).map(lambda oddity: Example((oddity,)))
