"""Tampering: changes to a signed request after which its signature is wrong.

Pure: a table from the name that scenarios use to a function over the signed parts. Each entry also says
in shell words what it does to the headers, so that a `curl` line can repeat it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from conformance.model.exchange import Signing
from conformance.protocol.dialect import sign
from conformance.protocol.signing import Signed, Signer

WRONG_SECRET = "hookproof-not-the-secret"  # noqa: S105 - not a secret


Tampering = Callable[[Signed, Signer], Signed]


def shell(signed: Signed, **words: object) -> Signing:
    """How a tampered request was signed; `words` are the fields of `Signing` that differ, in shell."""
    return replace(signed.signing, authentic=False, **words)  # type: ignore[arg-type]


def quoted(text: str) -> str:
    """`text` escaped for double quotes in a shell, so that none of it is executed."""
    return re.sub(r'([\\"$`])', r"\\\1", text)


def on_signature(change: Callable[[bytes], tuple[bytes, ...]], *words: str) -> Tampering:
    """A tampering that changes the signature headers alone; `words` are the same in shell."""

    def tamper(signed: Signed, signer: Signer) -> Signed:
        changed = change(signed.signatures[0])
        return replace(signed, signatures=changed, signing=shell(signed, signatures=words))

    return tamper


def on_body(change: Callable[[bytes], bytes]) -> Tampering:
    """A tampering that changes the body after signing."""

    def tamper(signed: Signed, signer: Signer) -> Signed:
        return replace(signed, body=change(signed.body), signing=shell(signed))

    return tamper


def _other_digit(character: bytes) -> bytes:
    return b"8" if character in b"01234567" else b"0"


def _flip_body(body: bytes) -> bytes:
    """Another digit at the end of the body's last number or text, so that it still parses."""
    at = max(
        body.rfind(digit) for digit in (b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9")
    )
    return body[:at] + (b"8" if body[at : at + 1] != b"8" else b"9") + body[at + 1 :]


def _wrong_secret(signed: Signed, signer: Signer) -> Signed:
    wrong = sign(signer.dialect, WRONG_SECRET.encode(), signed.signing.timestamp, signed.body)
    return replace(signed, signatures=(wrong,), signing=shell(signed, secret=WRONG_SECRET))


def _shift_timestamp(signed: Signed, signer: Signer) -> Signed:
    stamp = signed.signing.timestamp
    if not stamp.isdigit():
        return replace(signed, timestamp=stamp + b"1", signing=shell(signed, stamp="${TS}1"))
    later = b"%d" % (int(stamp) + 1)
    return replace(signed, timestamp=later, signing=shell(signed, stamp="$((TS+1))"))


def _suffix_timestamp(signed: Signed, signer: Signer) -> Signed:
    longer = signed.signing.timestamp + b"x"
    return replace(signed, timestamp=longer, signing=shell(signed, stamp="${TS}x"))


def _missing_timestamp(signed: Signed, signer: Signer) -> Signed:
    return replace(signed, timestamp=None, signing=shell(signed, stamp=None))


def _missing_both(signed: Signed, signer: Signer) -> Signed:
    return replace(
        signed, timestamp=None, signatures=(), signing=shell(signed, stamp=None, signatures=())
    )


def _moved_digit(signed: Signed, signer: Signer) -> Signed:
    stamp = signed.signing.timestamp
    words = shell(signed, stamp="${TS%?}", prefix='$(printf %s "$TS" | tail -c 1)')
    return replace(signed, timestamp=stamp[:-1], body=stamp[-1:] + signed.body, signing=words)


def _of_unsent(signed: Signed, signer: Signer) -> Signed:
    """The right signature of another body, which was never sent."""
    other = re.sub(rb'("msgId": ?")', rb"\g<1>9", signed.body, count=1)
    signature = sign(signer.dialect, signer.secret, signed.signing.timestamp, other)
    return replace(
        signed,
        signatures=(signature,),
        signing=shell(replace(signed, signing=replace(signed.signing, body=other))),
    )


TAMPERINGS: dict[str, Tampering] = {
    "wrong-secret": _wrong_secret,
    "flip-body": on_body(_flip_body),
    "shift-timestamp": _shift_timestamp,
    "suffix-timestamp": _suffix_timestamp,
    "missing-signature": on_signature(lambda right: ()),
    "missing-timestamp": _missing_timestamp,
    "missing-both": _missing_both,
    "empty-signature": on_signature(lambda right: (b"",), ""),
    "truncated": on_signature(
        lambda right: (right[: len(right) // 2],), '$(printf %s "$SIG" | cut -c 1-$((${#SIG}/2)))'
    ),
    "without-last": on_signature(lambda right: (right[:-1],), "${SIG%?}"),
    "only-first": on_signature(lambda right: (right[:1],), '$(printf %s "$SIG" | cut -c 1)'),
    "changed-first": on_signature(
        lambda right: (_other_digit(right[:1]) + right[1:],),
        """$(printf %s "$SIG" | sed -e 's/^[0-7]/8/' -e t -e 's/^./0/')""",
    ),
    "changed-last": on_signature(
        lambda right: (right[:-1] + _other_digit(right[-1:]),),
        """$(printf %s "$SIG" | sed -e 's/[0-7]$/8/' -e t -e 's/.$/0/')""",
    ),
    "overlong": on_signature(lambda right: (right + b"00",), "${SIG}00"),
    "one-digit-more": on_signature(lambda right: (right + b"0",), "${SIG}0"),
    "non-hex-more": on_signature(lambda right: (right + b"zz",), "${SIG}zz"),
    "twice": on_signature(lambda right: (right + right,), "$SIG$SIG"),
    "non-hex": on_signature(
        lambda right: (b"z" * len(right),), "$(printf %s \"$SIG\" | tr '[:print:]' z)"
    ),
    "non-ascii": on_signature(
        lambda right: (b"\xc3\xa9\xff" + right[3:],),
        "$(printf '\\303\\251\\377'; printf %s \"$SIG\" | cut -c 4-)",
    ),
    "of-unsent": _of_unsent,
    "moved-digit": _moved_digit,
    "append-space": on_body(lambda body: body + b" "),
    "pretty": on_body(lambda body: re.sub(rb', ?"', b',\n  "', body)),
    # The first key twice, so that an encoder that keeps the order writes what was signed.
    "duplicate-key-front": on_body(lambda body: body.replace(b"{", b'{"key":"x",', 1)),
    "invalid-byte": on_body(
        lambda body: re.sub("\N{REPLACEMENT CHARACTER}".encode() + rb"|\\ufffd", b"\xff", body)
    ),
    "wrong-first": on_signature(lambda right: (b"0" * len(right), right), "0" * 64, "$SIG"),
    "wrong-last": on_signature(lambda right: (right, b"0" * len(right)), "$SIG", "0" * 64),
}
