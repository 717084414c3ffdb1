"""How pytest-xdist shares out these tests; imported only where xdist is at work."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

TESTS = "tests/"

CLOCKED = {
    "engine/sender/test_run.py",
    "engine/sender/test_run_ends.py",
    "gallery/test_matrix.py",
}
"""Modules that judge by the clock: one after the other."""

SLOW = [
    "load/test_run.py",
    "gallery/test_senders.py",
    "engine/receiver/test_fuzz.py",
    "pytest_plugin/test_receiver.py",
    "engine/test_rejudge.py",
    "reporting/test_in_chromium.py",
    "live/test_in_chromium.py",
    "engine/receiver/test_run.py",
    "cli/test_main.py",
    "docs/test_guides.py",
    "docs/test_readme.py",
    "receiver/test_process.py",
    "sender/test_process.py",
    "docs/test_notebooks.py",
]
"""The slowest of the others, slowest first."""


class Clocked(LoadScopeScheduling):  # type: ignore[misc]
    """Whole modules go to whichever worker is free; those that go by the clock to one, one by one.

    What is slow begins first, so that the workers end together. `xdist_group` marks would not do: xdist
    3.8 tells them to its controller in the node id, where pytest 9.2 takes no notice of it.
    """

    def _split_scope(self, nodeid: str) -> str:
        name = nodeid.partition("::")[0].removeprefix(TESTS)
        return "clocked" if name in CLOCKED else name

    def _assign_work_unit(self, node: WorkerController) -> None:
        order = ["clocked", *SLOW]
        slowest = min(self.workqueue, key=lambda s: order.index(s) if s in order else len(order))
        self.workqueue.move_to_end(slowest, last=False)
        super()._assign_work_unit(node)
