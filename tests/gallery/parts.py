"""The peers of the gallery that the tests judge: as few faulty ones as show every rule.

`hookproof selftest` judges them all, the correct ones too, and by the neighbours of their rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from conformance.gallery.matrix import PEERS, Row, judge_all
from conformance.gallery.peer import Peer
from conformance.scenario.load import built_in


def rules_of(peer: Peer) -> set[str]:
    """The rules that must catch a peer."""
    return {part.partition("[")[0] for part in peer.caught_by}


def one_for_each_rule(side: str) -> Iterator[Peer]:
    """As few faulty peers of a side as show each rule: whichever covers most of the rules that are left."""
    peers = [peer for peer in PEERS if peer.side == side]
    left = {rule for peer in peers for rule in rules_of(peer)}
    while left:
        most = max(peers, key=lambda peer: len(rules_of(peer) & left))
        left -= rules_of(most)
        yield most


def without_neighbours(peer: Peer) -> Peer:
    """The peer, judged by the rules that must catch it and by what was put beside them, but not by the
    rest of their groups, unless a rule judges what the others send."""
    own = rules_of(peer)
    groups = {rule.rpartition(".")[0] for rule in own}
    if any(each.over for each in built_in(peer.side) if each.rule.id in own):
        return peer
    rules = [r for r in peer.rules() if r in own or r.rpartition(".")[0] not in groups]
    return replace(peer, rules=lambda: tuple(rules))


def peers_of(side: str) -> list[object]:
    """The parameters of a test for each of these peers."""
    soak = [pytest.mark.soak]
    return [
        pytest.param(without_neighbours(peer), id=peer.name, marks=soak if peer.on_request else [])
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
