"""Sequences of deliveries as a state machine: Hypothesis chooses the next action."""

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
from conformance.fuzz.campaign.outcomes import ExampleResult

LIMITS = {"others": 2, "give-up": 4, "restart": 2}
"""How often a slow action may be carried out in a campaign."""
OTHERS = 450
"""Messages between a message and its repeat; the rules require the last 500 ids to be known."""
FINAL_SENDS = 3
"""How often, at the end, a message whose sender gave up is sent until it is accepted."""

_TAMPERINGS = ("wrong-secret", "flip-body", "missing-signature", "truncated", "of-unsent")
_MUTATIONS = ("trailing-comma", "cut-short", "unquoted")
_COPIES = st.sampled_from((1, 1, 1, 2, 5))


@dataclass(slots=True)
class Driver:
    """How a sequence is carried out.

    `begin` is called before its first action. `act` carries out one action and returns the result that
    ends the campaign, if any. `repeatable` and `unsure` name messages: those whose exact request can be
    repeated, and those whose answer is unknown. `settle` returns the result of the whole sequence.
    `restarts` says whether the target can be restarted; `uses` counts slow actions.
    """

    begin: Callable[[], None]
    act: Callable[[Action], ExampleResult]
    repeatable: Callable[[], list[str]]
    unsure: Callable[[], list[str]]
    settle: Callable[[], ExampleResult]
    restarts: bool
    uses: Counter[str] = field(default_factory=Counter)


class Sequence(RuleBasedStateMachine):
    """One sequence.

    Hypothesis sorts the rules by their names: a new name may change what a seed draws.
    """

    messages = Bundle("messages")

    def __init__(self, campaign: Campaign, driver: Driver) -> None:
        super().__init__()
        self._campaign, self._driver = campaign, driver
        self._actions: list[Action] = []
        self._names = 0
        campaign.start_example()
        campaign.tried += 1
        driver.begin()

    @rule(target=messages, copies=_COPIES)
    def deliver(self, copies: int) -> str:
        """Send a new message."""
        return self._new(Action("send", copies=copies))

    @rule(target=messages, change=st.sampled_from(_TAMPERINGS))
    def forge(self, change: str) -> str:
        """Send a forgery with a new id."""
        return self._new(Action("forge", word=change))

    @rule(target=messages, change=st.sampled_from(_MUTATIONS))
    def mutate(self, change: str) -> str:
        """Send a signed body that is not JSON but has an id in it."""
        return self._new(Action("mutate", word=change))

    @rule(target=messages)
    def give_up(self) -> Any:
        """Send a message without waiting for the answer."""
        return self._new(Action("give-up")) if self._may_use("give-up") else multiple()

    @rule(name=messages, how=st.sampled_from(("signed", "fresh", "exact")), copies=_COPIES)
    def repeat(self, name: str, how: str, copies: int) -> None:
        """Send a known message once more, or a known id's message validly for the first time."""
        self._act(Action("send", name, how=how, copies=copies))

    @rule(name=messages, change=st.sampled_from(_TAMPERINGS))
    def forge_known_id(self, name: str, change: str) -> None:
        """Send a forgery with a known id."""
        self._act(Action("forge", name, change))

    @rule(name=messages, change=st.sampled_from(_MUTATIONS))
    def mutate_known_id(self, name: str, change: str) -> None:
        """Send a body that is not JSON but has a known id in it."""
        self._act(Action("mutate", name, change))

    @precondition(lambda self: self._names and "others" not in {a.kind for a in self._actions})
    @rule()
    def others(self) -> None:
        """Send many other messages, then repeat each earlier one."""
        repeatable = self._driver.repeatable()
        if repeatable and self._may_use("others"):
            self._act(Action("others", count=OTHERS))
            for name in repeatable:
                self._act(Action("send", name))

    @precondition(lambda self: self._driver.restarts and self._names)
    @rule()
    def restart(self) -> None:
        """Kill the receiver and start it again."""
        if self._may_use("restart"):
            self._act(Action("restart"))

    def teardown(self) -> None:
        """Repeat the messages whose answer is unknown, then judge the whole sequence."""
        if sys.exc_info()[0] is not None:
            return
        for _ in range(FINAL_SENDS):
            for name in self._driver.unsure():
                self._act(Action("send", name))
        if self._actions:
            self._campaign.report(self._driver.settle())

    def _new(self, action: Action) -> str:
        self._names += 1
        name = f"m{self._names}"
        self._act(Action(action.kind, name, action.word, action.copies))
        return name

    def _act(self, action: Action) -> None:
        self._actions.append(action)
        self._campaign.report(self._driver.act(action))

    def _may_use(self, kind: str) -> bool:
        """Count one more use of a slow action; whether its limit allows it."""
        self._driver.uses[kind] += 1
        return self._driver.uses[kind] <= LIMITS[kind]


def sequences(campaign: Campaign, driver: Driver) -> None:
    """Search sequences, as `campaign` bounds it."""

    def one_round(how: settings, draw: str) -> None:
        def start() -> Sequence:
            return Sequence(campaign, driver)

        run_state_machine_as_test(seed(draw)(start), settings=how)  # type: ignore[arg-type]

    campaign.rounds(one_round)
