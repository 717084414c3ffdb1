"""Strategies for valid messages: every msgType, any text, every JSON encoding that a receiver must accept.

Messages that no rule requires to be accepted are not drawn: 1.0 for 1, a key twice, a byte order mark.
Accounts and ids have at most 64 characters; objects are nested a few levels deep.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from conformance.fuzz.strategies.example import ID, Example, Oddity
from conformance.fuzz.strategies.values import INT64, KEYS, OBJECTS, VALUES, names, texts
from conformance.model.sentence import EMPTY, Sentence, verbatim
from conformance.protocol.encodings import ENCODINGS
from conformance.protocol.message import ACCOUNT, CONTENT, FRIEND, GROUP, TYPES, build

Oddities = st.SearchStrategy[Oddity]

FIELDS = frozenset(build("text", "", 0).fields())
DOCUMENTED = frozenset(TYPES.values())
TEXTS = (1, 10000, 10002)
MEDIA = (3, 34, 43, 47)

_PLAIN = {1: CONTENT["text"], 10000: CONTENT["system"], 10002: CONTENT["recall"]}
_FILES = {
    3: (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x24\0\0\0WEBPVP8 "),
    34: (b"#!AMR\n", b"\x02#!SILK_V3", b"ID3\x04\0\0", b"OggS\0\x02"),
    43: (b"\0\0\0\x18ftypmp42", b"\x1aE\xdf\xa3", b"\0\0\0\x14ftypqt  "),
    47: (b"GIF89a\x01\0\x01\0", b"\x89PNG\r\n\x1a\n", b"RIFF\x24\0\0\0WEBPVP8X"),
}
"""The first bytes of real file formats. WeChat's SILK has a byte before its name."""

_UNLISTED = (37, 51, 42, 48, 50, 62, 9999, 0, -1, 2**31 - 1)
"""Types that real services send, and the bounds of an int (字段說明)."""


def _content(msg_type: int, content: object, what: Sentence, rule: str) -> Oddity:
    return Oddity(
        "content",
        Sentence("content of msgType {msg_type}", msg_type=msg_type) + what,
        (f"receiver.accepts.{rule}", None),
        {"msgType": msg_type, "content": content},
    )


_SIMPLE = {n: _content(n, _PLAIN[n], EMPTY, "documented-type") for n in TEXTS}


def _as_text(msg_type: int, text: str) -> Oddity:
    what = EMPTY if text else Sentence(" that is empty")
    return replace(_content(msg_type, text, what, "any-text"), simpler=_SIMPLE[msg_type])


def _as_url(msg_type: int, path: str, query: str, *, raw: bool) -> Oddity:
    host = "https://媒體.hookproof.test" if raw else "http://media.hookproof.test:8080"
    url_path = path if raw else quote(path)
    url = f"{host}/{url_path}?size=1&name={query if raw else quote(query)}#a"
    oddity = _content(msg_type, url, Sentence(" (a URL)"), "media-url-and-base64")
    return replace(oddity, simpler=_as_text(1, url))


def _as_file(msg_type: int, first: int, rest: bytes, times: int) -> Oddity:
    files = _FILES[msg_type]
    content = base64.b64encode(files[first % len(files)] + rest * times).decode()
    return _content(msg_type, content, Sentence(" (Base64)"), "media-url-and-base64")


def _as_object(content: dict[str, Any]) -> Oddity:
    return _content(49, content, Sentence(" (an object)"), "documented-type")


def _unlisted(msg_type: int, content: object) -> Oddity:
    return Oddity(
        "content",
        Sentence("an unlisted msgType"),
        ("receiver.accepts.unknown-type", None),
        {"msgType": msg_type, "content": content},
        simpler=_as_text(1, content) if isinstance(content, str) else None,
    )


_TYPED = st.sampled_from(list(_SIMPLE.values()))
_FILE = st.binary(max_size=40), st.integers(0, 400)
_LINK: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda title, des, url, more: {"title": title, "des": des, "url": url, **more},
    texts(),
    texts(2000),
    texts(),
    OBJECTS,
)
# In builds, because Hypothesis would merge the branches and change their weights.
_AS_OBJECT = st.builds(_as_object, st.one_of(OBJECTS, OBJECTS, _LINK))
_TYPES = st.sampled_from(_UNLISTED) | st.integers(-(2**31), 2**31 - 1).filter(
    lambda n: n not in DOCUMENTED
)
_ANY = st.one_of(texts(1000), VALUES)


def _contents(types: st.SearchStrategy[int], msg_type: int) -> Oddities:
    """Content for any of `types`, all of which take the same content as `msg_type`."""
    if msg_type in TEXTS:
        return st.builds(_as_text, types, texts(10_000))
    if msg_type in MEDIA:
        return st.one_of(
            st.builds(_as_url, types, texts(40), texts(40), raw=st.booleans()),
            st.builds(_as_file, types, st.integers(0, 2), *_FILE),
        )
    return _AS_OBJECT if msg_type == 49 else st.builds(_unlisted, types, _ANY)


_AS_TEXT = _contents(st.sampled_from(TEXTS), TEXTS[0])
_AS_MEDIA = _contents(st.sampled_from(MEDIA), MEDIA[0])
_UNLISTED_TYPE = _contents(_TYPES, _UNLISTED[0])


def _account(name: str, text: str, *, group: bool) -> Oddity:
    value = text + "@chatroom" if group else text
    what = EMPTY if value else Sentence(" that is empty")
    where = verbatim(name) + what
    return Oddity(name, where, ("receiver.accepts.any-text", None), {name: value})


def _number(name: str, value: int) -> Oddity:
    # A receiver may reject a delivery for its age, but not a message.
    shape = ("receiver.signature.stale-timestamp", None) if name == "timestamp" else None
    far = Sentence(" far from now")
    return Oddity(name, verbatim(name) + far, shape, {name: value})


def _flag(name: str, where: Sentence, fields: dict[str, object]) -> Oddity:
    return Oddity(name, where, ("receiver.accepts.group-self-history", None), fields)


def _own(to: str) -> Oddity:
    fields = {"fromUser": ACCOUNT, "toUser": to, "isSelfMsg": True}
    return _flag("isSelfMsg", Sentence("isSelfMsg"), fields)


def _extra(name: str, value: object) -> Oddity:
    where = Sentence("an unlisted field")
    return Oddity("extra", where, ("receiver.accepts.unknown-field", None), {name: value})


def _is_extra(name: str) -> bool:
    """Whether a name differs from every field's, also for parsers that ignore case."""
    return name.casefold() not in {field.casefold() for field in FIELDS}


def _form(name: str) -> Oddity:
    where = Sentence("JSON in another encoding")
    return Oddity("form", where, ("receiver.signature.raw-bytes", None), form=name)


_ACCOUNT = st.builds(
    _account, st.sampled_from(("key", "fromUser", "toUser")), names(54), group=st.booleans()
)
_MSG_ID = st.builds(
    lambda before, after: Oddity("msgId", Sentence("msgId"), None, {"msgId": before + ID + after}),
    names(22),
    names(22),
)  # fmt: skip
_NUMBER = st.builds(_number, st.sampled_from(("createTime", "createTime", "timestamp")), INT64)
_FLAGS = st.sampled_from(
    [
        _own(FRIEND),
        _own(GROUP),
        _flag("isHistory", Sentence("isHistory"), {"isHistory": True}),
        _flag("fromUser", Sentence("a group"), {"fromUser": GROUP}),
    ]
)
_EXTRA = st.builds(_extra, KEYS.filter(_is_extra), VALUES)
_FORM = st.sampled_from(sorted(ENCODINGS)).map(_form)

_OTHER_FIELDS = (_ACCOUNT, _MSG_ID, _NUMBER, _NUMBER, _FLAGS, _EXTRA, _EXTRA, _FORM, _FORM)
ODDITIES: Oddities = st.one_of(
    *(_TYPED, _AS_TEXT, _AS_TEXT, _AS_OBJECT, _AS_OBJECT, _AS_MEDIA, _AS_MEDIA, _UNLISTED_TYPE),
    *_OTHER_FIELDS,
)
"""One respect in which a valid message is not plain."""


def _combined(oddities: Iterable[Oddity]) -> Example:
    """An example with the last oddity of each place. isSelfMsg comes first, because it sets other fields."""
    places = {oddity.place: oddity for oddity in oddities}
    return Example(tuple(sorted(places.values(), key=lambda oddity: oddity.place != "isSelfMsg")))


def valid_contents(msg_type: int) -> st.SearchStrategy[Any]:
    """Any content for a documented type, also unusual content."""
    return _contents(st.just(msg_type), msg_type).map(lambda oddity: oddity.fields["content"])


valid_examples: st.SearchStrategy[Example] = st.lists(ODDITIES, min_size=1, max_size=2).map(
    _combined
)
"""Valid messages with one or two oddities."""


def valid_of(msg_type: int) -> st.SearchStrategy[Example]:
    """Valid messages of one type, which need not be documented."""
    return st.tuples(_contents(st.just(msg_type), msg_type), st.one_of(_OTHER_FIELDS)).map(
        _combined
    )
