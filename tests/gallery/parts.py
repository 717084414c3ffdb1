"""The peers of the gallery that the tests judge: at least one for each rule, and correct ones.

`hookproof selftest` judges them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from conformance.gallery.matrix import PEERS, Row, judge_all
from conformance.gallery.peer import Peer

CORRECT = {"receiver": "reference", "sender": "reference-sender"}


def rules_of(peer: Peer) -> set[str]:
    """The rules that must catch a peer."""
    return {part.partition("[")[0] for part in peer.caught_by}


def one_for_each_rule(side: str) -> Iterator[Peer]:
    """The correct peer of a side, then as few faulty ones as show each rule: whichever covers most of the
    rules that are left."""
    peers = [peer for peer in PEERS if peer.side == side]
    yield next(peer for peer in peers if peer.name == CORRECT[side])
    left = {rule for peer in peers for rule in rules_of(peer)}
    while left:
        most = max(peers, key=lambda peer: len(rules_of(peer) & left))
        left -= rules_of(most)
        yield most


def peers_of(side: str) -> list[object]:
    """The parameters of a test for each of these peers."""
    soak = [pytest.mark.soak]
    return [
        pytest.param(peer, id=peer.name, marks=soak if peer.on_request else [])
        for peer in one_for_each_rule(side)
    ]


def judge_selected(request: pytest.FixtureRequest) -> dict[str, Row]:
    """The rows by peer, for the peers of the selected tests of this module, judged side by side."""
    here = [item for item in request.session.items if item.path == request.path]
    functions = [item for item in here if isinstance(item, pytest.Function)]
    selected = [item.callspec.params for item in functions if hasattr(item, "callspec")]
    peers = [params["peer"] for params in selected if "peer" in params]
    return {row.peer: row for row in asyncio.run(judge_all(peers))}


def check(row: Row) -> None:
    """Fail unless the suite reported what it must about a peer."""
    if row.skipped is not None:
        pytest.skip(row.skipped)
    assert row.missed == (), row.messages
    assert row.accused == (), row.messages
    assert row.holds, row.errors
