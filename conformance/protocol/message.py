"""Messages: the guide's ten fields, and a builder for each kind that a scenario can name.

Pure: ids and times come in as arguments. Guide: 請求體, 字段說明, 訊息類型說明, 主要功能.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

ACCOUNT = "wxid_hookproof_account"
FRIEND = "wxid_hookproof_friend"
GROUP = "20482048204@chatroom"

# The first bytes of real files, for receivers that check the format.
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000"
    "0003010100c9fe92ef0000000049454e44ae426082"
)
_AMR = b"#!AMR\n" + bytes.fromhex("3c48f5eeee") * 6
_MP4 = bytes.fromhex("00000018667479706d703432000000006d70343269736f6d0000000866726565")
_GIF = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)


def _media(name: str, file: bytes) -> dict[str, object]:
    return {
        name: f"https://media.hookproof.test/{name}/20260102?size=1&v=2",
        f"{name}-base64": base64.b64encode(file).decode(),
    }


TYPES: dict[str, int] = {
    "text": 1,
    "image": 3,
    "image-base64": 3,
    "voice": 34,
    "voice-base64": 34,
    "video": 43,
    "video-base64": 43,
    "emoji": 47,
    "emoji-base64": 47,
    "link": 49,
    "system": 10000,
    "recall": 10002,
    "group": 1,
    "self": 1,
    "history": 1,
}
"""kind → msgType."""

CONTENT: dict[str, object] = {
    "text": "Hookproof 測試訊息",
    **_media("image", _PNG),
    **_media("voice", _AMR),
    **_media("video", _MP4),
    **_media("emoji", _GIF),
    "link": {
        "title": "Hookproof 連結",
        "des": "A page that a friend shares",
        "url": "https://hookproof.test/article?id=1&from=timeline",
        "thumbUrl": "https://hookproof.test/thumb.jpg",
    },
    "system": "你已添加了對方，現在可以開始聊天了。",
    "recall": "對方撤回了一條訊息",
    "group": f"{FRIEND}:\n大家好",
    "self": "A message of one's own",
    "history": "A message from an earlier session",
}
"""kind → content: a string, or an object for type 49 (the guide names no keys for it)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message in the guide's field order. Times are whole Unix seconds."""

    key: str
    msg_id: str
    timestamp: int
    from_user: str
    to_user: str
    msg_type: int
    content: object
    is_self_msg: bool
    create_time: int
    is_history: bool

    def fields(self) -> dict[str, Any]:
        """The message as the JSON object that is sent, keys in the guide's order."""
        return {
            "key": self.key,
            "msgId": self.msg_id,
            "timestamp": self.timestamp,
            "fromUser": self.from_user,
            "toUser": self.to_user,
            "msgType": self.msg_type,
            "content": self.content,
            "isSelfMsg": self.is_self_msg,
            "createTime": self.create_time,
            "isHistory": self.is_history,
        }


def build(kind: str, msg_id: str, now: int) -> Message:
    """A message of `kind` (a key of TYPES), pushed at `now` (Unix seconds) and created shortly before."""
    is_self = kind == "self"
    return Message(
        key=ACCOUNT,
        msg_id=msg_id,
        timestamp=now,
        from_user=ACCOUNT if is_self else GROUP if kind == "group" else FRIEND,
        to_user=FRIEND if is_self else ACCOUNT,
        msg_type=TYPES[kind],
        content=CONTENT[kind],
        is_self_msg=is_self,
        create_time=now - (7200 if kind == "history" else 2),
        is_history=kind == "history",
    )


def mark(msg_id: str) -> str:
    """A word for a message's content by which the message can be recognized without its msgId."""
    return f"hp{msg_id}"


def mark_in(body: bytes) -> str | None:
    """The msgId of the first `mark` in `body`, or None."""
    match = _MARK.search(body)
    return match.group(1).decode() if match else None


_MARK = re.compile(rb"hp(\d{15,19})(?!\d)")


def marked(kind: str, msg_id: str) -> object:
    """The content of a message of `kind` with its `mark`; Base64 media have no room for one."""
    content = CONTENT[kind]
    match content:
        case dict():
            return content | {"title": f"{content['title']} {mark(msg_id)}"}
        case str() if kind.endswith("-base64"):
            return content
        case str() if content.startswith("https:"):
            return f"{content}&mark={mark(msg_id)}"
        case _:
            return f"{content} {mark(msg_id)}"
