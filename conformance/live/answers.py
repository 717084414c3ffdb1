"""The next answers, as somebody who plays with a sender asks for them on the live page."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import Any, NoReturn

from conformance.model.errors import InputError
from conformance.protocol.validation import problems
from conformance.receiver.behaviour import Response
from conformance.receiver.script import Scripted

MOST = 10_000
"""Answers that wait to be given."""


@dataclass(frozen=True, slots=True)
class Next:
    """One answer to come. Without a `status` the delivery is judged and takes effect as usual, and
    only its answer is late or broken; with one, nothing takes effect. `delay` is in seconds,
    `fault` one of those that `Scripted` knows."""

    status: int | None
    delay: float
    fault: str | None

    def scripted(self, answer: Response) -> Scripted:
        """What is done to a request that would be answered with `answer`."""
        return Scripted(
            status=answer.status,
            delay=self.delay,
            headers=answer.headers,
            body=answer.body,
            fault=self.fault,
        )

    @property
    def broken(self) -> str | None:
        """The fault by which the sender gets no whole answer."""
        return None if self.fault == "drip" else self.fault

    def __str__(self) -> str:
        parts = [
            str(self.status) if self.status is not None else "",
            self.fault or "",
            f"{self.delay:g} s" if self.delay else "",
        ]
        return ", ".join(part for part in parts if part) or "as usual"


class Answers:
    """The answers that wait, in the order in which they are given."""

    def __init__(self) -> None:
        self._waiting: deque[Next] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> Next | None:
        """The answer to the delivery that came now; None for the usual one."""
        return self._waiting.popleft() if self._waiting else None

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def add(self, text: bytes) -> None:
        """Append what `text` asks for, which is JSON as `schemas/answers.schema.json` describes it.

        Raises InputError, and appends nothing, when it does not fit or would be too much.
        """
        try:
            asked: Any = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise InputError("the answers are not JSON") from None
        wrong = problems("answers", asked)
        if wrong:
            raise InputError(str(wrong[0]))
        found = [
            Next(_whole(each.get("status")), each.get("delay", 0), each.get("fault"))
            for each in asked["answers"]
            for _ in range(int(each.get("times", 1)))
        ]
        if len(self) + len(found) > MOST:
            raise InputError(f"more than {MOST:,} answers would wait: clear them first")
        self._waiting += found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _whole(status: float | None) -> int | None:
    # JSON Schema takes 503.0 for an integer.
    return None if status is None else int(status)
