"""Applies checks to one message at a time, and sums up what they say: judging a trace takes the memory of its
longest message, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from conformance.checks.check import Check, Scope
from conformance.model.exchange import Exchange, Role
from conformance.model.rules import Finding, Held, Judgement, Level, Unjudged
from conformance.model.sentence import EMPTY, Sentence

MOST_SHOWN, MOST_EVIDENCE = 10, 20
"""The exchanges that a finding names, and those that what holds names."""


def judge(
    check: Check, over: Iterable[Exchange], profile: Any, level: Level
) -> Sequence[Judgement]:
    """What `check` says of the exchanges `over`, all at once or message by message. They can be iterated over
    more than once."""
    if check.scope is not Scope.MESSAGE:
        return check.judge(over, profile, level)
    positions = {exchange.id: position for position, exchange in enumerate(over)}
    tally = Tally(check, profile, level, positions.__getitem__)
    for message in by_message(over):
        tally.add(message)
    return tally.judgements()


def by_message(exchanges: Iterable[Exchange]) -> Iterator[list[Exchange]]:
    """The exchanges of one message at a time, after the calls that configured the sender. Those without a
    msgId are taken for one message."""
    calls: list[Exchange] = []
    messages: dict[str | None, list[Exchange]] = {}
    for exchange in exchanges:
        if exchange.role is Role.API:
            calls.append(exchange)
        else:
            messages.setdefault(exchange.msg_id, []).append(exchange)
    return ([*calls, *message] for message in messages.values())


class Tally:
    """Sums up what a message-scoped check says of each message; the order in which they are added does not
    matter. `position` orders exchanges by their ids: the first that breaks a rule is described."""

    def __init__(
        self,
        check: Check,
        profile: Any,
        level: Level,
        position: Callable[[int], int] = lambda number: number,
    ) -> None:
        self._check, self._profile, self._level = check, profile, level
        self._position = position
        self._found: dict[tuple[Level, str], _Count] = {}
        self._held = _Count(position)
        self._unjudged: Unjudged | None = None

    def add(self, message: Sequence[Exchange]) -> None:
        """Judge the exchanges of one message."""
        for judgement in self._check.judge(message, self._profile, self._level):
            match judgement:
                case Held(evidence=evidence):
                    self._held.add(evidence, EMPTY)
                case Finding(level, code, text, exchanges):
                    count = self._found.setdefault((level, code), _Count(self._position))
                    count.add(exchanges, text)
                case Unjudged():
                    self._unjudged = min(self._unjudged or judgement, judgement, key=self._rank)

    def judgements(self) -> list[Judgement]:
        """A finding for each level and code; else what holds; else why nothing could be judged. A reason not
        to judge that names exchanges outweighs what holds: they may break the rule."""
        doubtful = self._unjudged is not None and self._unjudged.exchanges
        if not self._found and self._held.number and not doubtful:
            return [Held(self._level, tuple(self._held.first))]
        total = self._held.number + sum(count.number for count in self._found.values())
        in_order = sorted(self._found.items(), key=lambda found: self._position(found[1].first[0]))
        findings: list[Judgement] = [
            Finding(
                level,
                code,
                self._check.counted(count.number, total) + count.text,
                tuple(count.first[:MOST_SHOWN]),
            )
            for (level, code), count in in_order
        ]
        return findings or [self._unjudged or self._check.unseen]

    def _rank(self, unjudged: Unjudged) -> tuple[bool, int]:
        """Orders reasons not to judge: first those that name exchanges, by the first of these."""
        exchanges = unjudged.exchanges
        return not exchanges, self._position(exchanges[0]) if exchanges else 0


class _Count:
    """How many exchanges show the same, the ids of the first, and what the very first shows."""

    def __init__(self, position: Callable[[int], int]) -> None:
        self._position = position
        self.number = 0
        self.first: list[int] = []
        self.text = EMPTY

    def add(self, exchanges: Sequence[int], text: Sentence) -> None:
        self.number += len(exchanges)
        first = sorted([*self.first, *exchanges], key=self._position)[:MOST_EVIDENCE]
        if first[:1] != self.first[:1]:
            self.text = text
        self.first = first
