"""Sequences of deliveries as a state machine: Hypothesis chooses what is done next."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from conformance.fuzz.campaign.campaign import Campaign
from conformance.fuzz.campaign.model import Action
from conformance.fuzz.campaign.outcomes import Seen

RATIONS = {"others": 2, "give-up": 4, "restart": 2}
"""How often in a hunt what takes long is done."""
OTHERS = 450
"""Messages between a message and its repeat; the rules ask for the last 500 ids to be known."""
LATER = 3
"""So often a message whose sender gave up is sent again in the end: until it is accepted."""

_DAMAGES = ("wrong-secret", "flip-body", "missing-signature", "truncated", "of-unsent")
_EDITS = ("trailing-comma", "cut-short", "unquoted")
_COPIES = st.sampled_from((1, 1, 1, 2, 5))


@dataclass(slots=True)
class Driver:
    """How a sequence is carried out. `begin` comes before its first action; `act` carries one out, and
    gives what ends the hunt, if anything does; `unsure` names the messages that nobody knows the
    answer to; `settle` tells what the sequence came to."""

    begin: Callable[[], None]
    act: Callable[[Action], Seen]
    repeatable: Callable[[], list[str]]
    unsure: Callable[[], list[str]]
    settle: Callable[[], Seen]
    restarts: bool
    used: Counter[str] = field(default_factory=Counter)


class Sequence(RuleBasedStateMachine):
    """One sequence."""

    messages = Bundle("messages")

    def __init__(self, campaign: Campaign, driver: Driver) -> None:
        super().__init__()
        self._hunt, self._means = campaign, driver
        self._actions: list[Action] = []
        self._names = 0
        campaign.enter()
        campaign.tried += 1
        driver.begin()

    @rule(target=messages, copies=_COPIES)
    def first(self, copies: int) -> str:
        """A message that nobody has sent before."""
        return self._new(Action("send", copies=copies))

    @rule(target=messages, damage=st.sampled_from(_DAMAGES))
    def forged(self, damage: str) -> str:
        """A forgery under an id that has not been there before."""
        return self._new(Action("forge", word=damage))

    @rule(target=messages, edit=st.sampled_from(_EDITS))
    def malformed(self, edit: str) -> str:
        """A signed body that is not JSON, with an id in it."""
        return self._new(Action("break", word=edit))

    @rule(target=messages)
    def given_up(self) -> Any:
        """A message whose sender does not wait for the answer."""
        return self._new(Action("give-up")) if self._ration("give-up") else multiple()

    @rule(name=messages, how=st.sampled_from(("signed", "fresh", "exact")), copies=_COPIES)
    def again(self, name: str, how: str, copies: int) -> None:
        """A message once more, or for the first time in order."""
        self._act(Action("send", name, how=how, copies=copies))

    @rule(name=messages, damage=st.sampled_from(_DAMAGES))
    def forged_again(self, name: str, damage: str) -> None:
        """A forgery under an id that has been there."""
        self._act(Action("forge", name, damage))

    @rule(name=messages, edit=st.sampled_from(_EDITS))
    def malformed_again(self, name: str, edit: str) -> None:
        """A body that is not JSON, with an id in it that has been there."""
        self._act(Action("break", name, edit))

    @precondition(lambda self: self._names and "others" not in {a.kind for a in self._actions})
    @rule()
    def others(self) -> None:
        """Many other messages, and then each of those before once more."""
        repeatable = self._means.repeatable()
        if repeatable and self._ration("others"):
            self._act(Action("others", count=OTHERS))
            for name in repeatable:
                self._act(Action("send", name))

    @precondition(lambda self: self._means.restarts and self._names)
    @rule()
    def restart(self) -> None:
        """The receiver is killed, and started again."""
        if self._ration("restart"):
            self._act(Action("restart"))

    def teardown(self) -> None:
        """Send again what nobody waited for, and see what came of it all."""
        if sys.exc_info()[0] is not None:
            return
        for _ in range(LATER):
            for name in self._means.unsure():
                self._act(Action("send", name))
        if self._actions:
            self._hunt.see(self._means.settle())

    def _new(self, action: Action) -> str:
        self._names += 1
        name = f"m{self._names}"
        self._act(Action(action.kind, name, action.word, action.copies))
        return name

    def _act(self, action: Action) -> None:
        self._actions.append(action)
        self._hunt.see(self._means.act(action))

    def _ration(self, kind: str) -> bool:
        """Whether what takes long may be done once more."""
        self._means.used[kind] += 1
        return self._means.used[kind] <= RATIONS[kind]


def sequences(campaign: Campaign, driver: Driver) -> None:
    """Hunt among sequences."""

    def one_round(how: settings, draw: str) -> None:
        def start() -> Sequence:
            return Sequence(campaign, driver)

        run_state_machine_as_test(seed(draw)(start), settings=how)  # type: ignore[arg-type]

    campaign.rounds(one_round)
