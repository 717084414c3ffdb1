"""Asks the observer about every message of a load, once it has ended, and compares its counts with what was
sent.

An effect may follow its answer, and a receiver that works through a long queue has not lost anything:
missing effects are late as long as more of them appear.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from conformance.checks.receiver.case import count
from conformance.checks.receiver.load import AUDIT, EXAMPLES
from conformance.engine.exchanges import Place
from conformance.engine.receiver.session import Session
from conformance.load.ledger import ACKNOWLEDGED, FORGED, NUMBERS, REPEATED, VALID, Ledger
from conformance.model.exchange import Role

CHUNK = 64
"""Messages that are asked about at once."""
QUIET_PERIOD = 5.0
"""Seconds without a further effect after which the missing ones count as lost; or LAGS times the longest lag
that was seen, if that is longer."""
LAGS = 3
PAUSE = 0.2
ATTEMPTS = 5
"""How often the observer is asked about a message while it gives no count."""
OF_AUDIT, OF_LATER = Place(case=AUDIT), Place(case="later")
"""The places of what the observer is asked about the load, and about a message sent after it."""

Progress = Callable[[int, int], None]


class Audit:
    """The effects of the messages in `ledgers`, the last of which was sent `ended` (on the session's clock).
    Waits at least `effect_timeout` seconds after that, and until `until` at most, for effects that are
    missing. `stop` ends it early."""

    def __init__(
        self,
        session: Session,
        ledgers: Sequence[Ledger],
        *,
        ended: float,
        effect_timeout: float,
        until: float,
    ) -> None:
        self._session = session
        self._ledgers = {ledger.msg_id(0) // NUMBERS: ledger for ledger in ledgers}
        self._ended = ended
        self._earliest_end = ended + effect_timeout
        self._until = until
        self._stopped = False
        self._missing: set[int] = set()
        self._unread: set[int] = set()
        self._doubled: set[int] = set()
        self._forged: set[int] = set()
        self._late = 0
        self._behind = 0.0

    def stop(self) -> None:
        """Ask no more: the load is judged by the counts so far."""
        self._stopped = True

    async def run(self, progress: Progress) -> dict[str, Any]:
        """Ask until every effect has been seen, or the missing ones are lost. Returns the `observer` of the
        run's figures."""
        session = self._session
        # "Once" can be believed when the effect of a message sent after all others has appeared.
        later = await session.plain(Role.CONTROL, OF_LATER)
        asked = [str(later.msg_id)]
        shown = await session.effects(asked, 1, OF_LATER, PAUSE)
        behind = not count(shown[0])
        session.recording = False
        messages = sum(len(ledger.states) for ledger in self._ledgers.values())
        await self._ask_all(self._messages(VALID | FORGED), progress, messages)
        ending = await self._wait()
        waited = session.clock.monotonic() - self._ended
        session.recording = True
        if behind:
            shown = await session.effects(asked, 1, OF_LATER)
        if behind or self._missing or self._late:
            # Messages that were still in work may have taken a second effect meanwhile.
            session.recording = False
            await self._ask(self._messages(REPEATED | FORGED))
            session.recording = True
        await self._record_evidence()
        lost = self._missing - self._unread  # of what has no count any more nothing is known
        return {
            "messages": messages,
            "unread": len(self._unread),
            "lost": len(lost),
            "doubled": len(self._doubled),
            "forged": len(self._forged),
            "late": self._late,
            "behind": round(self._behind, 3),
            "waited": round(waited, 3),
            "ended": ending,
            "later": (count(shown[0]) or 0) > 0,
            "examples": {
                "lost": _examples(lost),
                "doubled": _examples(self._doubled),
                "forged": _examples(self._forged),
            },
        }

    async def _ask_all(self, ids: Iterator[int], progress: Progress, messages: int) -> None:
        """Ask about all `ids`, and again about those without a count."""
        asked = 0
        while chunk := list(islice(ids, CHUNK)):
            if self._stopped or not await self._ask(chunk):
                break
            asked += len(chunk)
            progress(asked, messages)
        self._unread |= {*chunk, *ids}
        for attempt in range(1, ATTEMPTS):
            if self._stopped or not self._unread:
                return
            await self._session.clock.sleep(PAUSE * attempt)
            await self._ask(sorted(self._unread))

    async def _wait(self) -> str:
        """Ask about the missing effects until they have settled. Returns what ended the waiting."""
        clock = self._session.clock
        grew = heard = clock.monotonic()
        while self._missing:
            now = clock.monotonic()
            quiet = max(QUIET_PERIOD, LAGS * self._behind)
            if self._stopped:
                return "stopped"
            if self._missing.isdisjoint(self._unread):
                heard = now
            silent = 0 < now - heard < quiet  # it may yet give the counts that it owes
            if now - grew >= quiet and now >= self._earliest_end and not silent:
                return "settled"
            if now > self._until:
                return "time"
            await clock.sleep(PAUSE)
            before, missing = len(self._missing), sorted(self._missing)
            if not await self._ask(missing) and not self._stopped:
                self._unread.update(missing)
            if len(self._missing) < before:
                grew = clock.monotonic()
                self._late += before - len(self._missing)
                self._behind = grew - self._ended
        return "stopped" if self._stopped else "settled"

    async def _ask(self, ids: Iterable[int]) -> bool:
        """Ask about `ids`. Gives up, and returns False, after a chunk of which none got a count, and once it
        is stopped."""
        rest = iter(ids)
        while chunk := list(islice(rest, CHUNK)):
            observed = await self._session.effects([str(each) for each in chunk], 0, OF_AUDIT, 0.0)
            counts = [count(exchange) for exchange in observed]
            for msg_id, effects in zip(chunk, counts, strict=True):
                self._note(msg_id, effects)
            if self._stopped or all(effects is None for effects in counts):
                return False
        return True

    def _note(self, msg_id: int, effects: int | None) -> None:
        if effects is None:
            self._unread.add(msg_id)
            return
        self._unread.discard(msg_id)
        state = self._ledgers[msg_id // NUMBERS].states[msg_id % NUMBERS]
        if state & FORGED:
            if effects:
                self._forged.add(msg_id)
        elif effects > 1:
            self._doubled.add(msg_id)
        if effects:
            self._missing.discard(msg_id)
        elif state & ACKNOWLEDGED:
            self._missing.add(msg_id)

    async def _record_evidence(self) -> None:
        """Ask once more about messages that a judgement will name, or whose delivery is recorded, so that
        the answers are in the trace."""
        named = chain(
            *(sorted(ids)[:EXAMPLES] for ids in (self._missing, self._doubled, self._forged))
        )
        sampled = (
            int(exchange.msg_id or 0)
            for ledger in self._ledgers.values()
            for kept in ledger.samples.values()
            for exchange in kept
        )
        await self._ask(dict.fromkeys([*named, *sampled]))

    def _messages(self, states: int) -> Iterator[int]:
        """The ids of the messages that have any of the flags in `states`."""
        for ledger in self._ledgers.values():
            yield from (msg_id for msg_id, state in ledger.messages() if state & states)


def _examples(ids: Collection[int]) -> list[str]:
    return [str(msg_id) for msg_id in sorted(ids)[:EXAMPLES]]
