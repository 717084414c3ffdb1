"""The queue of scripted answers, by which a user of the live page tries out a sender."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import Any

from conformance.model.errors import InputError
from conformance.protocol.encodings import refuse_constant
from conformance.protocol.validation import problems
from conformance.receiver.behaviour import Response
from conformance.receiver.script import Scripted

MOST = 10_000
"""Answers in the queue."""


@dataclass(frozen=True, slots=True)
class QueuedAnswer:
    """One answer to come. Without a `status` the delivery is judged and takes effect as usual, and
    only its answer is late or broken; with one, nothing takes effect. `delay` is in seconds,
    `fault` one of those of `Scripted`."""

    status: int | None
    delay: float
    fault: str | None

    def scripted(self, answer: Response) -> Scripted:
        """What to send in place of the usual `answer`."""
        return Scripted(
            status=answer.status,
            delay=self.delay,
            headers=answer.headers,
            body=answer.body,
            fault=self.fault,
        )

    @property
    def broken(self) -> str | None:
        """The fault that keeps the sender from getting a complete answer; None without one."""
        return None if self.fault == "drip" else self.fault

    def __str__(self) -> str:
        parts = [
            str(self.status) if self.status is not None else "",
            self.fault or "",
            f"{self.delay:g} s" if self.delay else "",
        ]
        return ", ".join(part for part in parts if part) or "as usual"


class AnswerQueue:
    """The scripted answers that are still to come, in order."""

    def __init__(self) -> None:
        self._queue: deque[QueuedAnswer] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def take(self) -> QueuedAnswer | None:
        """Remove and return the next answer; None for the usual one."""
        return self._queue.popleft() if self._queue else None

    def clear(self) -> None:
        """Empty the queue."""
        self._queue.clear()

    def add(self, text: bytes) -> None:
        """Append the answers in `text`, JSON that `schemas/answers.schema.json` describes.

        Raises InputError, and appends nothing, if `text` does not fit or the queue would be too long.
        """
        try:
            script: Any = json.loads(text, parse_constant=refuse_constant)
        except (ValueError, RecursionError):
            raise InputError("the answers are not JSON") from None
        faults = problems("answers", script)
        if faults:
            raise InputError(faults[0].sentence())
        answers = [
            QueuedAnswer(_as_int(entry.get("status")), entry.get("delay", 0), entry.get("fault"))
            for entry in script["answers"]
            for _ in range(int(entry.get("times", 1)))
        ]
        if len(self) + len(answers) > MOST:
            raise InputError("more than {limit:,} answers would wait: clear them first", limit=MOST)
        self._queue += answers


def _as_int(status: float | None) -> int | None:
    # To JSON Schema 503.0 is an integer.
    return None if status is None else int(status)
