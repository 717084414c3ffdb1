"""The peers of the gallery that the tests judge: one for each rule, and correct ones.

`hookproof selftest` judges them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from conformance.gallery.matrix import PEERS, Row, judge_all
from conformance.gallery.peer import Peer

CORRECT = {"receiver": ("reference", "python-stdlib"), "sender": ("reference-sender",)}


def rules_of(peer: Peer) -> set[str]:
    """The rules that must catch a peer."""
    return {each.partition("[")[0] for each in peer.caught_by}


def one_for_each_rule(side: str) -> Iterator[Peer]:
    """Peers of a side in the gallery's order, but those whose rules have all been named before."""
    named: set[str] = set()
    for peer in PEERS:
        if peer.side == side and (peer.name in CORRECT[side] or rules_of(peer) - named):
            named |= rules_of(peer)
            yield peer


def peers_of(side: str) -> list[object]:
    """The parameters of a test about each of them."""
    return [pytest.param(peer, id=peer.name) for peer in one_for_each_rule(side)]


def judged(request: pytest.FixtureRequest) -> dict[str, Row]:
    """The rows of the matrix by peer: of all that the tests of a module were selected for, side by side."""
    here = [each for each in request.session.items if each.path == request.path]
    items = [each for each in here if isinstance(each, pytest.Function)]
    selected = [each.callspec.params for each in items if hasattr(each, "callspec")]
    peers = [params["peer"] for params in selected if "peer" in params]
    return {row.peer: row for row in asyncio.run(judge_all(peers))}


def check(row: Row) -> None:
    """Fail unless the suite said of a peer what it must."""
    if row.skipped is not None:
        pytest.skip(row.skipped)
    assert row.missed == (), row.said
    assert row.accused == (), row.said
    assert row.holds, row.errors
