"""Mutations: changes to a body before it is signed, so that its signature is right and its content wrong.

Pure: a table from the name that scenarios use to a function from bytes to bytes. A body may have any
encoding that a receiver may sign (`signing.REWRITTEN`), such as spaces after separators or escapes.
"""

import re
from collections.abc import Callable
from functools import partial

DEPTH = 10_000
# 測試, which the content of every plain text contains, and the msgId as a string.
_SPOT = re.compile("測試".encode() + rb"|\\u6e2c\\u8a66")
_MSG_ID = re.compile(rb'"msgId": ?"([^"]*)"')


def _in_content(piece: bytes) -> Callable[[bytes], bytes]:
    return lambda body: _SPOT.sub(lambda match: piece, body, count=1)


def _msg_id(body: bytes) -> bytes:
    msg_id: bytes = _MSG_ID.findall(body)[0]
    return msg_id


def _other_id(body: bytes, *, first: bool) -> bytes:
    """The key msgId twice: once with the message's own value, once with its last digit changed."""
    own = _msg_id(body)
    other = own[:-1] + (b"1" if own[-1:] != b"1" else b"2")
    ids = (other, own) if first else (own, other)
    return _MSG_ID.sub(b'"msgId":"%s","msgId":"%s"' % ids, body, count=1)


MUTATIONS: dict[str, Callable[[bytes], bytes]] = {
    "cut-short": lambda body: body[: len(body) * 2 // 3],
    "empty": lambda body: b"",
    "unquoted": lambda body: body.replace(b'"', b"'"),
    "trailing-comma": lambda body: body[:-1] + b",}",
    "not-json": lambda body: b"msgId=" + _msg_id(body) + b"&msgType=1",
    "invalid-utf8": _in_content(b"\xff\xfe"),
    "cut-utf8": _in_content("測".encode()[:2]),
    "lone-surrogate": _in_content(b"\\ud83d"),
    "deep-nesting": lambda body: body[:-1] + b',"extra":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "other-id-first": partial(_other_id, first=True),
    "other-id-last": partial(_other_id, first=False),
}
