"""Under pytest-xdist, all items of Hookproof go to one worker, and other tests to all, as usual.

All items wait for one run; a second worker would start a second run. Whether there are such items is
known only after the workers have collected. Until then `OneWorkerScheduling` feeds two schedulers, then
it continues with one: the scheduler that the user chose, or one that groups.
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

SPLITTING = {
    "load": LoadScheduling,
    "loadgroup": LoadGroupScheduling,
    "worksteal": WorkStealingScheduling,
}
"""xdist's own schedulers that could split our items, by the value of --dist.

`xdist_group` marks do not help: xdist 3.8 passes them to its controller in the node id, where pytest
9.2 ignores them.
"""

OUR_ID = re.compile(r"::(receiver|sender)\.[a-z0-9-]+\.[a-z0-9-]+(\[[^\[\]]*\])?(@.*)?$")
"""The end of the node id of our items: a rule's id, and its case."""


class GroupScheduling(LoadGroupScheduling):  # type: ignore[misc]
    """Our items in one group; other tests one by one, or in the group of their mark."""

    def _split_scope(self, nodeid: str) -> str:
        return "hookproof" if OUR_ID.search(nodeid) else str(super()._split_scope(nodeid))


class OneWorkerScheduling:
    """The scheduler that the user chose with --dist, or `GroupScheduling` if our items are collected."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        self._chosen: Any = SPLITTING[config.getoption("dist")](config, log)
        self._grouping: Any = GroupScheduling(config, log)
        self._scheduled = False

    def add_node(self, node: Any) -> None:
        """A worker is ready."""
        self._chosen.add_node(node)
        if not self._scheduled:
            self._grouping.add_node(node)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected."""
        self._chosen.add_node_collection(node, collection)
        if not self._scheduled:
            self._grouping.add_node_collection(node, collection)

    def remove_node(self, node: Any) -> Any:
        """A worker has ended or crashed."""
        if not self._scheduled:
            self._grouping.remove_node(node)
        return self._chosen.remove_node(node)

    def schedule(self) -> None:
        """Every worker has collected, or one has joined later."""
        if not self._scheduled:
            collections = self._grouping.registered_collections.values()
            if any(OUR_ID.search(nodeid) for collection in collections for nodeid in collection):
                self._chosen = self._grouping
            self._scheduled = True
        self._chosen.schedule()

    def __getattr__(self, name: str) -> Any:
        # The chosen scheduler does the rest of xdist's protocol.
        return getattr(self._chosen, name)
