"""What a campaign's result means for its rule, where some of its examples could not be judged."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from conformance.engine.receiver.example_runner import ExampleEvidence
from conformance.engine.receiver.fuzz_report import judgement_of
from conformance.fuzz.campaign.campaign import Campaign
from conformance.fuzz.campaign.outcomes import Aborted, Failure
from conformance.fuzz.strategies.example import Example
from conformance.model.exchange import Answer, Exchange, Request, Role
from conformance.model.rules import Finding, Held, Level, Unjudged
from conformance.model.sentence import Sentence
from conformance.scenario.load import built_in

(FORGED,) = (each for each in built_in("receiver") if each.rule.id == "receiver.fuzz.forged")
SILENT = Unjudged("unanswered", Sentence("no answer"), error=True)
LIMITED = Aborted(Unjudged("rate-limit", Sentence("429"), error=True))
PROBE = Exchange(
    1, Role.PROBE, FORGED.rule.id, None, 0, "1", Request("POST", "http://h/", (), b""), None,
    Answer(200, (), b""), None, "", 0.0, 0.0, 0.0,
)  # fmt: skip
ACCEPTED = Failure(
    "200", frozenset(), 1, ExampleEvidence(Example(), PROBE, Level.MUST, SILENT.reason, SILENT.reason)
)  # fmt: skip


def judgement(*, tried=200, unjudged=0, unsteady=0, failures=(), stop_reason=None):
    session = SimpleNamespace(trace=[PROBE], options=SimpleNamespace(seed=1))
    campaign = Campaign(
        rule=FORGED.rule.id, target="h/", example_limit=200, seed=1, until=0.0,
        monotonic=lambda: 0.0, attempt=lambda batch: (0, None), confirm=lambda failure: None,
        tried=tried, unjudged=[SILENT] * unjudged, unsteady=unsteady, failures=list(failures),
        stop_reason=stop_reason,
    )  # fmt: skip
    return judgement_of(campaign, FORGED, session)


@pytest.mark.parametrize("unjudged", [0, 1, 20])
def test_the_rule_holds_where_a_few_examples_could_not_be_judged(unjudged):
    assert isinstance(judgement(unjudged=unjudged), Held)


@pytest.mark.parametrize(("tried", "unjudged"), [(200, 21), (5, 1), (1, 1)])
def test_it_is_not_judged_where_more_than_a_tenth_could_not(tried, unjudged):
    assert judgement(tried=tried, unjudged=unjudged) == SILENT


def test_a_target_that_fails_at_random_does_not_hold():
    assert isinstance(judgement(unsteady=20), Held)
    assert judgement(unsteady=21).code == "unsteady"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"unjudged": 199}, id="others had no answer"),
        pytest.param({"stop_reason": LIMITED}, id="a rate limit came later"),
    ],
)
def test_a_failure_is_a_finding_whatever_else_could_not_be_judged(more):
    finding = judgement(failures=[ACCEPTED], **more)
    assert isinstance(finding, Finding)
    assert (finding.code, finding.exchanges) == ("examples-fail", (1,))


def test_an_abort_without_a_failure_is_reported_as_it_is():
    assert judgement(stop_reason=LIMITED) == LIMITED.reason
