"""No check holds on nothing: without exchanges every judgement is `Unjudged`."""

from dataclasses import replace

import pytest

from conformance.checks import messages, registry
from conformance.checks.check import Scope
from conformance.checks.receiver.case import judge
from conformance.checks.receiver.inferred_observer import InferredObserver
from conformance.checks.receiver.profile import ReceiverProfile
from conformance.checks.sender import case as sender_case
from conformance.checks.sender.step import CaseExchanges, StepExchanges
from conformance.model.rules import NO_EVIDENCE, Held, Level, Unjudged, gravest, held
from conformance.model.sentence import EMPTY
from conformance.protocol.schemes import Scheme
from conformance.scenario.load import built_in
from tests.engine.hand_made import EMIT, GUIDE, SIGNER, attempt
from tests.engine.hand_made import PROFILE as SENDER
from tests.engine.hand_made import sender_case as words

PROFILE = ReceiverProfile(
    url="http://target/",
    requested=GUIDE,
    scheme=Scheme(SIGNER, None, EMPTY),
    accepted=frozenset({200}),
    deadline=5.0,
)
OBSERVED = ReceiverProfile(
    **{name: getattr(PROFILE, name) for name in PROFILE.__slots__} | {"observed": True}
)
INFERRED = replace(PROFILE, inferred=InferredObserver((("status", 200, 409),)))


def unjudged(judgements):
    """Whether nothing holds and nothing is accused."""
    return isinstance(gravest(judgements), Unjudged) and not any(
        isinstance(each, Held) for each in judgements
    )


@pytest.mark.parametrize(("side", "profile"), [("receiver", PROFILE), ("sender", SENDER)])
def test_no_check_holds_without_exchanges(side, profile):
    for name in registry.names(side, Scope.RUN, Scope.MESSAGE):
        check = registry.CHECKS[side][name]
        assert unjudged(messages.judge(check, [], profile, Level.MUST)), name


@pytest.mark.parametrize("name", registry.names("sender", Scope.STEP))
def test_no_check_of_a_step_holds_without_exchanges(name):
    step = StepExchanges(words(steps=[EMIT], configure={"RetryCount": 3}), 0, CaseExchanges([]))
    assert unjudged(registry.CHECKS["sender"][name].judge(step, SENDER, Level.MUST))


def acting(side):
    """Every case of one side that carries something out, with its name."""
    return [
        (f"{scenario.rule.id}[{case.name}]", case)
        for scenario in built_in(side)
        for case in scenario.cases
        if case.acts
    ]


@pytest.mark.parametrize(
    "profile", [PROFILE, OBSERVED, INFERRED], ids=["blind", "seen", "inferred"]
)
def test_no_case_of_a_receiver_holds_without_exchanges(profile):
    for name, case in acting("receiver"):
        assert unjudged(judge(case, [], profile)), name


def test_no_case_of_a_sender_holds_without_exchanges():
    for name, case in acting("sender"):
        assert unjudged(sender_case.judge(case, [], SENDER)), name


def test_what_holds_names_its_exchanges():
    one, other = attempt(), attempt()
    assert held(Level.MUST, [one, other]) == Held(Level.MUST, (one.id, other.id))
    assert held(Level.MUST, []) is NO_EVIDENCE
