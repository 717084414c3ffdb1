"""Requests as JSON for the live page, with the secret masked. The page puts every value into text nodes."""

from __future__ import annotations

import json
from typing import Any

from conformance.live.explainer import Explainer, Explanation
from conformance.live.feed import LARGEST, MOST, FeedEntry
from conformance.model.escaping import visible
from conformance.model.text import Statement
from conformance.options.secrets import mask_of
from conformance.protocol.signing import Signer
from conformance.reporting.languages import in_chinese, in_english
from conformance.reporting.pages.escaped_text import decode, escape_runs

_LONGEST_ID, _PREVIEW = 200, 120
_LONGEST_HEADER, _MOST_HEADERS = 2000, 100
_LONGEST_BODY = 64 * 1024


class RequestView:
    """Requests to a receiver with the secret of `signer`, without that secret."""

    def __init__(self, signer: Signer) -> None:
        self._explainer = Explainer(signer)
        self._mask = mask_of(signer.secret)
        self._explanations: dict[int, Explanation] = {}  # of the newest requests

    def row(self, number: int, entry: FeedEntry) -> dict[str, Any]:
        """The request `number` for the list."""
        explanation = self._explanation(number, entry)
        message = explanation.message
        content = message.get("content", "")
        if not isinstance(content, str):
            content = json.dumps(content, ensure_ascii=False)
        return {
            "n": number,
            "at": round(entry.received, 3),
            "id": self._word(message.get("msgId", ""), _LONGEST_ID),
            "type": self._word(message.get("msgType", ""), 12),
            "text": self._word(content, _PREVIEW),
            "method": entry.method if entry.method != "POST" else "",
            "status": entry.status,
            "scripted": entry.scripted,
            "broken": entry.broken,
            "repeat": entry.message == "duplicate",
            "signature": explanation.signature.value,
            "signature_text": _pair(explanation.signature_text),
            "body": explanation.body.value,
            "body_text": _pair(explanation.body_text),
        }

    def whole(self, number: int, entry: FeedEntry) -> dict[str, Any]:
        """The request `number` in full."""
        headers = entry.headers[:_MOST_HEADERS]
        body = self._mask(entry.body)
        return {
            **self.row(number, entry),
            "first": self._runs(f"{entry.method} {entry.path}".encode("utf-8", "replace")),
            "headers": [[self._runs(name), self._runs(value)] for name, value in headers],
            "content": escape_runs(decode(body, _LONGEST_BODY)),
            "size": entry.size,
            "content_size": min(entry.size, _LONGEST_BODY),
            "problems": [
                self._word(problem, 400) for problem in self._explanation(number, entry).problems
            ],
            "message": entry.message,
        }

    def _explanation(self, number: int, entry: FeedEntry) -> Explanation:
        explanation = self._explanations.get(number)
        if explanation is None:
            whole = entry.size <= LARGEST
            explanation = self._explainer.explain(
                entry.headers, entry.body, entry.received, whole=whole
            )
            self._explanations[number] = explanation
            if len(self._explanations) > MOST:
                del self._explanations[next(iter(self._explanations))]
        return explanation

    def _word(self, value: object, longest: int) -> str:
        masked = self._mask.text(str(value))  # first, since half a secret would escape the mask
        cut = masked[:longest] + ("…" if len(masked) > longest else "")
        return visible(cut).replace("\n", "\\n").replace("\t", "\\t")

    def _runs(self, value: bytes) -> list[str]:
        return escape_runs(decode(self._mask(value), _LONGEST_HEADER), lines=False)


def _pair(text: Statement) -> list[str]:
    return [visible(in_english(text)), visible(in_chinese(text))]
