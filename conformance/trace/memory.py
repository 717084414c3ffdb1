"""The trace of a run in memory: a list of exchanges, and everything else that its file will hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.model.exchange import Exchange
from conformance.model.result import Result
from conformance.options.secrets import Mask
from conformance.trace.masking import mask_exchange, mask_run
from conformance.trace.store import write
from conformance.trace.stored import StoredTrace

if TYPE_CHECKING:
    import pandas as pd


class Trace:
    """Exchanges in the order in which they ended. Ids are positions, from 1, until `number` is called.

    `run`, `rules` and `results` are set at the end of the run: its metadata, its rules as records of
    their YAML, and its results (see `StoredTrace`).
    """

    def __init__(self, exchanges: Iterable[Exchange] = ()) -> None:
        self.exchanges = list(exchanges)
        self.run: Mapping[str, Any] | None = None
        self.rules: Mapping[str, Mapping[str, Any]] = {}
        self.results: tuple[Result, ...] = ()

    @staticmethod
    def open(path: str | PathLike[str]) -> StoredTrace:
        """The trace in a file, read lazily. Raises InputError for a file that is not a trace."""
        return StoredTrace.open(Path(path))

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
        """Record `exchange` under the next id; return it with that id."""
        numbered = replace(exchange, id=len(self.exchanges) + 1)
        self.exchanges.append(numbered)
        return numbered

    def number(self, order: Iterable[int]) -> dict[int, int]:
        """Put the exchanges into `order` (of their present ids) and renumber them: old id → new id.

        Scenarios run concurrently, so their ids are arbitrary; the order of the catalogue is not.
        """
        by_id = {each.id: each for each in self.exchanges}
        new_ids = {old: new for new, old in enumerate(order, 1)}
        self.exchanges = [
            replace(by_id[old], id=new, link=new_ids.get(by_id[old].link or 0))
            for old, new in new_ids.items()
        ]
        return new_ids

    def mask(self, mask: Mask) -> None:
        """Mask secrets in what peers sent, and in what was signed."""
        self.exchanges = [mask_exchange(each, mask) for each in self.exchanges]
        self.run = mask_run(self.run, mask)

    def redacted(self) -> StoredTrace:
        """A copy without contents and names; sizes stay."""
        return self.stored().redacted()

    def save(self, path: Path) -> None:
        """Write a trace file; an existing file is replaced only if it is a trace.

        Raises InputError when the file cannot be written, and then nothing is lost.
        """
        write(path, self.exchanges, self.run, self.rules, self.results)

    def stored(self) -> StoredTrace:
        """A copy of the present state in the tables of a trace file, without a path."""
        return StoredTrace.of(self.exchanges, self.run, self.rules, self.results)

    def frame(self, *, bodies: bool = False) -> pd.DataFrame:
        """A row for each HTTP exchange; see `StoredTrace.frame`."""
        return self.stored().frame(bodies=bodies)

    def attempts(self) -> pd.DataFrame:
        """A row for each delivery; see `StoredTrace.attempts`."""
        return self.stored().attempts()
