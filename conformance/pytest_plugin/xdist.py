"""Under pytest-xdist, all items of Hookproof go to one worker, and other tests to all as ever.

Items wait for one run, so that a second worker would start a second one. Whether there are any shows
only once the workers have collected. Until then this scheduler keeps two, and goes on with one: the
one that the user chose, or one which groups.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import (  # type: ignore[import-untyped]
    LoadGroupScheduling,
    LoadScheduling,
    WorkStealingScheduling,
)

PLAIN = {
    "load": LoadScheduling,
    "loadgroup": LoadGroupScheduling,
    "worksteal": WorkStealingScheduling,
}
"""xdist's own schedulers that may part what belongs together, by the value of --dist.

`xdist_group` marks would not do: xdist 3.8 tells them to its controller in the node id, where pytest
9.2 takes no notice of it.
"""

OURS = re.compile(r"::(receiver|sender)\.[a-z0-9-]+\.[a-z0-9-]+(\[[^\[\]]*\])?(@.*)?$")
"""The end of a node id of ours: a rule's id, and its case."""


class Grouped(LoadGroupScheduling):  # type: ignore[misc]
    """Ours together; other tests each by itself, or by the group that they are marked with."""

    def _split_scope(self, nodeid: str) -> str:
        return "hookproof" if OURS.search(nodeid) else str(super()._split_scope(nodeid))


class OneWorkerScheduling:
    """xdist's scheduler for the options that it has, until one of ours is collected."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        self._chosen: Any = PLAIN[config.getoption("dist")](config, log)
        self._grouped: Any = Grouped(config, log)
        self._scheduled = False

    def add_node(self, node: Any) -> None:
        """A worker is ready."""
        self._chosen.add_node(node)
        if not self._scheduled:
            self._grouped.add_node(node)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected."""
        self._chosen.add_node_collection(node, collection)
        if not self._scheduled:
            self._grouped.add_node_collection(node, collection)

    def remove_node(self, node: Any) -> Any:
        """A worker has ended, or died."""
        if not self._scheduled:
            self._grouped.remove_node(node)
        return self._chosen.remove_node(node)

    def schedule(self) -> None:
        """Every worker has collected, or one came later."""
        if not self._scheduled:
            collections = self._grouped.registered_collections.values()
            if any(OURS.search(nodeid) for collection in collections for nodeid in collection):
                self._chosen = self._grouped
            self._scheduled = True
        self._chosen.schedule()

    def __getattr__(self, name: str) -> Any:
        # The rest of xdist's protocol is the chosen one's.
        return getattr(self._chosen, name)
