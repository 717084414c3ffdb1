"""The exchanges of a run as it goes on: a list, and all that a file of it will hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.model.exchange import Exchange
from conformance.model.result import Result
from conformance.trace.masking import without, without_words
from conformance.trace.redact import redacted, redacted_result, redacted_run, signed_by
from conformance.trace.store import write
from conformance.trace.stored import Stored

if TYPE_CHECKING:
    import pandas as pd


class Trace:
    """Exchanges in the order in which they ended; ids are positions, from 1, until `number` is called.

    `run`, `rules` and `results` are set when the run is over: what is known of it, its rules as
    their scenarios stand in YAML, and what was found (see `Stored`).
    """

    def __init__(self, exchanges: Iterable[Exchange] = ()) -> None:
        self.exchanges = list(exchanges)
        self.run: Mapping[str, Any] | None = None
        self.rules: Mapping[str, Mapping[str, Any]] = {}
        self.results: tuple[Result, ...] = ()

    @staticmethod
    def open(path: str | PathLike[str]) -> Stored:
        """The trace in a file, read lazily. Raises InputError for a file that is none."""
        return Stored.open(Path(path))

    def __len__(self) -> int:
        return len(self.exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.exchanges)

    def __getitem__(self, number: int) -> Exchange:
        """The exchange with this id. Raises KeyError when there is none."""
        for each in self.exchanges:
            if each.id == number:
                return each
        raise KeyError(number)

    def __repr__(self) -> str:
        return f"<Trace of {len(self):,} exchanges>"

    def add(self, exchange: Exchange) -> Exchange:
        """Record `exchange` under the next id, and give it back with it."""
        numbered = replace(exchange, id=len(self.exchanges) + 1)
        self.exchanges.append(numbered)
        return numbered

    def number(self, order: Iterable[int]) -> dict[int, int]:
        """Put the exchanges into `order` (their ids now) and number them anew: old id → new id.

        Scenarios run side by side, so that ids come by chance; the order of the catalogue does not.
        """
        by_id = {each.id: each for each in self.exchanges}
        renamed = {old: new for new, old in enumerate(order, 1)}
        self.exchanges = [replace(by_id[old], id=new) for old, new in renamed.items()]
        return renamed

    def mask(self, secrets: Iterable[bytes], own: bytes = b"") -> None:
        """Take `secrets` out of what was answered, and out of what a sender was told or sent: a peer
        may have sent one back. `own` is the one that the target verifies or signs with."""
        known = list(secrets)
        self.exchanges = [without(each, known, own) for each in self.exchanges]
        self.run = without_words(self.run, known)

    def redacted(self) -> Trace:
        """The same without contents and names; sizes stay."""
        headers = signed_by(self.run)
        made = Trace(redacted(each, headers) for each in self.exchanges)
        made.run = redacted_run(self.run)
        made.rules = self.rules
        made.results = tuple(map(redacted_result, self.results))
        return made

    def save(self, path: Path) -> None:
        """Write a new trace file; one that is there is replaced only if it is a trace.

        Raises InputError when it cannot be written, and then nothing is lost.
        """
        write(path, self.exchanges, self.run, self.rules, self.results)

    def stored(self) -> Stored:
        """What there is by now in the tables of a trace file, in memory."""
        return Stored.of(self.exchanges, self.run, self.rules, self.results)

    def frame(self, *, bodies: bool = False) -> pd.DataFrame:
        """A row for each HTTP exchange; see `Stored.frame`."""
        return self.stored().frame(bodies=bodies)

    def attempts(self) -> pd.DataFrame:
        """A row for each delivery; see `Stored.attempts`."""
        return self.stored().attempts()
