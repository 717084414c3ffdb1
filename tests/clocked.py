"""How pytest-xdist shares out these tests; imported only where xdist is at work."""

from __future__ import annotations

from pathlib import Path

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

CLOCKED = {
    f"test_{name}.py"
    for name in (
        "check_sender",
        "check_sender_ends",
        "gallery",
        "load_run",
    )
}
"""Modules that judge by the clock, or that load this machine: one after the other."""

SLOW = [
    f"test_{name}.py"
    for name in (
        "fuzz_run",
        "pytest_plugin",
        "judge_again",
        "pages_report",
        "pages_live",
        "run",
        "cli",
        "docs_guides",
        "docs",
        "receiver_process",
        "sender_process",
        "notebooks",
    )
]
"""The slowest of the others, slowest first."""


class Clocked(LoadScopeScheduling):  # type: ignore[misc]
    """Whole modules go to whichever worker is free; those that go by the clock to one, one by one.

    What is slow begins first, so that the workers end together. `xdist_group` marks would not do: xdist
    3.8 tells them to its controller in the node id, where pytest 9.2 takes no notice of it.
    """

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).name
        return "clocked" if name in CLOCKED else name

    def _assign_work_unit(self, node: WorkerController) -> None:
        order = ["clocked", *SLOW]
        slowest = min(self.workqueue, key=lambda s: order.index(s) if s in order else len(order))
        self.workqueue.move_to_end(slowest, last=False)
        super()._assign_work_unit(node)
