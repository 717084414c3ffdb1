"""Requests as the live page gets them: JSON in which the secret is masked and nothing is markup.

The page makes text of all that stands here, and of nothing anything else.
"""

from __future__ import annotations

import json
from typing import Any

from conformance.live.explainer import Explainer, Looked
from conformance.live.feed import LARGEST, MOST, Arrived
from conformance.model.escaping import visible
from conformance.model.text import Text
from conformance.protocol.tampering import Signer
from conformance.receiver.masking import Mask
from conformance.reporting.pages.escaped_text import decode, escape_runs

_LONGEST_ID, _PREVIEW = 200, 120
_LONGEST_HEADER, _MOST_HEADERS = 2000, 100
_LONGEST_BODY = 64 * 1024


class Shown:
    """Requests to a receiver with the secret of `signer`, for a page that must not learn it."""

    def __init__(self, signer: Signer) -> None:
        self._explainer = Explainer(signer)
        self._mask = Mask(bytes(signer.secret))
        self._known: dict[int, Looked] = {}  # what was found out about the newest requests

    def row(self, number: int, arrived: Arrived) -> dict[str, Any]:
        """What stands in the list."""
        looked = self._looked(number, arrived)
        message = looked.message
        content = message.get("content", "")
        if not isinstance(content, str):
            content = json.dumps(content, ensure_ascii=False)
        return {
            "n": number,
            "at": round(arrived.received, 3),
            "id": self._word(message.get("msgId", ""), _LONGEST_ID),
            "type": self._word(message.get("msgType", ""), 12),
            "text": self._word(content, _PREVIEW),
            "method": arrived.method if arrived.method != "POST" else "",
            "status": arrived.status,
            "scripted": arrived.scripted,
            "broken": arrived.broken,
            "repeat": arrived.message == "duplicate",
            "signature": looked.signature.value,
            "signed": _pair(looked.signed),
            "body": looked.body.value,
            "said": _pair(looked.said),
        }

    def whole(self, number: int, arrived: Arrived) -> dict[str, Any]:
        """All about one request."""
        headers = arrived.headers[:_MOST_HEADERS]
        body = self._mask(arrived.body)
        return {
            **self.row(number, arrived),
            "first": self._runs(f"{arrived.method} {arrived.path}".encode("utf-8", "replace")),
            "headers": [[self._runs(name), self._runs(value)] for name, value in headers],
            "content": escape_runs(decode(body, _LONGEST_BODY)),
            "size": arrived.size,
            "shown": min(arrived.size, _LONGEST_BODY),
            "problems": [self._word(each, 400) for each in self._looked(number, arrived).problems],
            "message": arrived.message,
        }

    def _looked(self, number: int, arrived: Arrived) -> Looked:
        looked = self._known.get(number)
        if looked is None:
            whole = arrived.size <= LARGEST
            looked = self._explainer.look(
                arrived.headers, arrived.body, arrived.received, whole=whole
            )
            self._known[number] = looked
            if len(self._known) > MOST:
                del self._known[next(iter(self._known))]
        return looked

    def _word(self, value: object, longest: int) -> str:
        # Cut well past its end first: a body may hold a text of a megabyte, and a cut secret is none.
        text = str(value)[: longest + 10_000].encode("utf-8", "surrogatepass")
        masked = self._mask(text).decode("utf-8", "surrogatepass")
        cut = masked[:longest] + ("…" if len(masked) > longest else "")
        return visible(cut).replace("\n", "\\n").replace("\t", "\\t")

    def _runs(self, value: bytes) -> list[str]:
        return escape_runs(decode(self._mask(value), _LONGEST_HEADER), lines=False)


def _pair(text: Text) -> list[str]:
    return [visible(text.en), visible(text.zh)]
