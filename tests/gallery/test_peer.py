"""The decorator of a fault: what it makes of a function, its docstring and its rows."""

from __future__ import annotations

import pytest

from conformance.gallery.peer import Faults, Peer, Side, row
from conformance.scenario.load import built_in

SIDE = Side(
    "sender", lambda step, function: (step, function), lambda make: make(), ("sender.https.*",)
)


@pytest.fixture
def faulty() -> Faults:
    return Faults("sender.retry", SIDE)


def only(faulty: Faults) -> Peer:
    (peer,) = faulty.peers
    return peer


def test_the_function_names_the_peer_and_its_docstring_the_fault(faulty: Faults) -> None:
    @faulty("count", "sender.wire.method")
    def gives_up() -> None:
        """Gives up
        at once.

        As many do.
        """

    peer = only(faulty)
    assert (peer.side, peer.name, peer.fault) == ("sender", "gives-up", "gives up at once")
    assert peer.caught_by == ("sender.retry.count", "sender.wire.method")


def test_each_row_is_a_peer_with_its_own_words_arguments_and_rules(faulty: Faults) -> None:
    rows = (row("one", "1 retry", number=1), row("two", "2 retries", "backoff", number=2))

    @faulty("count", rows=rows)
    def _retry(number: int) -> int:
        """Makes {}."""
        return number

    assert [peer.name for peer in faulty.peers] == ["one", "two"]
    assert [peer.fault for peer in faulty.peers] == ["makes 1 retry", "makes 2 retries"]
    assert [peer.serve() for peer in faulty.peers] == [1, 2]
    assert faulty.peers[1].caught_by == ("sender.retry.backoff",)


def test_a_step_is_changed_anew_with_its_state_for_every_run(faulty: Faults) -> None:
    @faulty("count", step="outcome", state=list)
    def counts(seen: list[str], message: str) -> int:
        """Counts."""
        seen.append(message)
        return len(seen)

    for _ in range(2):
        step, changed = only(faulty).serve()  # type: ignore[misc]
        assert (step, changed("a"), changed("b")) == ("outcome", 1, 2)


def test_a_peer_is_judged_by_the_groups_of_its_rules_and_by_the_controls(faulty: Faults) -> None:
    @faulty("count[drawn]", beside=("sender.time.deadline",))
    def gives_up() -> None:
        """Gives up."""

    groups = ("sender.retry.", "sender.https.", "sender.time.deadline")
    ids = [scenario.rule.id for scenario in built_in("sender")]
    assert list(only(faulty).rules()) == [each for each in ids if each.startswith(groups)]
