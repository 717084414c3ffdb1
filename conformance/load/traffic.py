"""The messages that the users send: the guide's types in realistic shares and sizes, drawn by a seed.

Pure. Bodies are prepared except for their id and times, because building one from scratch would cost
as much as sending it. Guide: 主要功能, 訊息類型說明.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from conformance.protocol.dialect import Dialect
from conformance.protocol.encodings import compact
from conformance.protocol.message import CONTENT, build
from conformance.protocol.tampering import TAMPERINGS, Tampering

BURSTS = 600
"""Bursts that are drawn; after these the users start again from the first."""
GROUPS = 1000
"""Groups that messages come from."""

_ID, _NOW = 7_000_000_000_000_000_001, 1_700_000_000

_SHARES = {
    "text": 62.0,
    "image": 12.0,
    "image-base64": 2.0,
    "voice": 4.0,
    "voice-base64": 2.0,
    "video": 2.9,
    "video-base64": 0.1,
    "emoji": 7.0,
    "emoji-base64": 1.0,
    "link": 5.0,
    "system": 1.0,
    "recall": 1.0,
}
"""kind → its share of all messages, in per cent."""

_SIZES = {
    "image-base64": (4_000, 90_000),
    "voice-base64": (2_000, 16_000),
    "video-base64": (60_000, 240_000),
    "emoji-base64": (3_000, 40_000),
}
"""kind → the least and the largest size of the file in bytes."""

_GROUP_SHARE = 0.6
_BURST_LENGTHS = (1, 1, 1, 2, 3, 5, 8)
"""How many messages a group sends at once; one of these is drawn."""

_WORDS = (
    "好", "收到", "在嗎", "明天", "開會", "哈哈哈", "謝謝大家", "[微笑]", "👍", "😂", "OK", "稍等",
    "這個可以", "資料已上傳", "請查收", "https://hookproof.test/a?b=1&c=2", "周末一起吃飯吧",
)  # fmt: skip

FORGERY_KINDS = (
    "wrong-secret",
    "flip-body",
    "shift-timestamp",
    "missing-signature",
    "missing-both",
    "empty-signature",
    "truncated",
    "changed-first",
    "changed-last",
    "overlong",
    "non-hex",
    "of-unsent",
)
"""Ways of tampering that no receiver may accept, whatever its dialect."""

_NEEDS_SIGNED_TIMESTAMP = {"shift-timestamp"}


@dataclass(frozen=True, slots=True)
class Template:
    """A message's body, cut where its id and its times go."""

    head: bytes
    middle: bytes
    content: bytes
    tail: bytes

    def body(self, msg_id: int, now: int) -> bytes:
        """The body of the message `msg_id`, pushed at `now` (Unix seconds) and created 2 s before."""
        return b"%b%d%b%d%b%d%b" % (
            self.head, msg_id, self.middle, now, self.content, now - 2, self.tail
        )  # fmt: skip


Burst = tuple[Template, ...]
"""Messages that are sent at once: several of a group, or a single one."""


def draw(seed: int) -> tuple[Burst, ...]:
    """BURSTS bursts; the same seed draws the same ones."""
    random = Random(seed)  # noqa: S311 - messages, not secrets
    return tuple(tuple(_burst(random)) for _ in range(BURSTS))


def forgeries(dialect: Dialect) -> tuple[Tampering, ...]:
    """The ways of tampering after which no receiver of `dialect` may accept a signed request."""
    names = [
        kind
        for kind in FORGERY_KINDS
        if dialect.signs_timestamp or kind not in _NEEDS_SIGNED_TIMESTAMP
    ]
    return tuple(TAMPERINGS[name] for name in names)


def _burst(random: Random) -> Iterator[Template]:
    if random.random() >= _GROUP_SHARE:
        yield _template(random, None)
        return
    room = f"{20_000_000_000 + random.randrange(GROUPS)}@chatroom"
    for _ in range(random.choice(_BURST_LENGTHS)):
        yield _template(random, room)


def _template(random: Random, room: str | None) -> Template:
    kind = random.choices(list(_SHARES), list(_SHARES.values()))[0]
    message = build(kind, str(_ID), _NOW)
    content = _content(kind, random)
    if room is not None:
        message = replace(message, from_user=room)
        if kind == "text":
            content = f"wxid_member{random.randrange(500)}:\n{content}"
    encoded = compact(replace(message, content=content).fields())
    head, _, rest = encoded.partition(b"%d" % _ID)
    middle, _, rest = rest.partition(b"%d" % _NOW)
    body, _, tail = rest.rpartition(b"%d" % (_NOW - 2))
    return Template(head, middle, body, tail)


def _content(kind: str, random: Random) -> object:
    if kind == "text":
        # Most are a few words, some are long.
        return "，".join(random.choices(_WORDS, k=1 + int(random.expovariate(1 / 6))))
    if kind in _SIZES:
        file = base64.b64decode(str(CONTENT[kind]))
        return base64.b64encode(file + random.randbytes(random.randint(*_SIZES[kind]))).decode()
    return CONTENT[kind]
