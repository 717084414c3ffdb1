"""A run from its first message to its report, without sockets: what happens, in which order, and why what is
left is not judged."""

import asyncio

import pytest

from conformance.engine.events import RunStarted
from conformance.engine.lifecycle import State
from conformance.model.exchange import Fault
from conformance.model.result import Result
from conformance.model.rules import Outcome, Verdict
from conformance.protocol.dialect import sign
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.scenario import dialects
from tests.engine.receiver.memory import KEY, OBSERVER, Receiver, judge

SOME = ("receiver.accepts.*", "receiver.signature.*", "receiver.duplicate.answered-200")
ALIVE = "receiver.http.alive"


def outcomes(run, *wanted):
    return {each.name for each in run.report.having(*wanted)}


def test_a_correct_receiver_passes():
    run = judge(Receiver(), *SOME, "receiver.body.*", "receiver.duplicate.processed-once", ALIVE)
    assert run.report.verdict is Verdict.PASS
    assert {each.reproduce for each in run.report.results} == {None}
    assert outcomes(run, Outcome.FAIL, Outcome.WARN, Outcome.ERROR) == set()
    assert run.runner.lifecycle.state is State.COMPLETE


def test_events_tell_of_every_case_once_between_the_first_and_the_last():
    run = judge(Receiver(), "receiver.accepts.*", "receiver.body.refusal-status")
    started, *finished, ended = run.events
    assert started == RunStarted(run.runner.keys)
    assert ended == run.report
    assert all(isinstance(event, Result) for event in finished)
    settled = [(event.rule.id, event.case) for event in finished]
    assert sorted(settled, key=str) == sorted(run.runner.keys, key=str)


def test_a_receiver_that_verifies_nothing_fails_and_the_cause_says_so():
    trusting = ReceiverBehaviour(authenticate=lambda headers, body, signer, now: None)
    run = judge(Receiver(behaviour=trusting), "receiver.signature.*")
    assert "receiver.signature.missing-both" in outcomes(run, Outcome.FAIL)
    assert str(run.report.cause).startswith("Every forged request was accepted")


def test_hours_of_the_target_s_time_pass_at_once():
    async def late(request, number):
        await asyncio.sleep(6.0 if number > 20 else 0.0)

    run = judge(Receiver(late), "receiver.time.within-deadline", "receiver.accepts.*", timeout=3600)
    assert outcomes(run, Outcome.FAIL) >= {"receiver.time.within-deadline"}
    assert run.seconds > 6.0


def test_a_stop_is_reported_once_and_the_rest_refers_to_it():
    async def unknown(request, number):
        return 404

    run = judge(Receiver(unknown), "receiver.accepts.*")
    assert run.runner.lifecycle.state is State.STOPPED
    assert len(outcomes(run, Outcome.ERROR)) == 1
    assert len(outcomes(run, Outcome.SKIP)) == len(run.report.results) - 1
    assert "answered 404: check the path" in str(run.report.cause)


def test_what_is_left_of_a_run_whose_target_dies_is_not_judged():
    async def die(request, number):
        return Fault.REFUSED if number > 30 else None

    run = judge(Receiver(die), *SOME, ALIVE)
    assert run.runner.lifecycle.state is State.TARGET_GONE
    assert ALIVE in outcomes(run, Outcome.FAIL)
    assert {each.code for each in run.report.having(Outcome.ERROR)} == {"target-gone"}


def test_a_run_out_of_time_says_so():
    async def slow(request, number):
        await asyncio.sleep(2.0 if number > 20 else 0.0)

    run = judge(Receiver(slow), *SOME, timeout=5.0)
    assert run.runner.lifecycle.state is State.OUT_OF_TIME
    assert run.report.verdict is Verdict.ERROR
    assert "time-ran-out" in {each.code for each in run.report.results}
    assert run.seconds < 6.0


def test_a_case_that_was_refused_for_now_is_run_again_by_itself():
    async def refuse_once(request, number):
        return 503 if number == 25 else None

    run = judge(Receiver(refuse_once), "receiver.accepts.*")
    assert run.report.verdict is Verdict.PASS
    superseded = {each.rule for each in run.report.trace if each.superseded}
    assert len(superseded) == 1
    assert all(each.outcome is Outcome.PASS for each in run.report.results)


def test_a_fault_of_the_harness_is_no_verdict_on_the_target(monkeypatch):
    def broken(case, exchanges, profile):
        raise ZeroDivisionError

    monkeypatch.setattr("conformance.checks.receiver.case.judge", broken)
    run = judge(Receiver(), "receiver.accepts.unknown-field")
    assert run.report.verdict is Verdict.ERROR
    assert {each.code for each in run.report.results} == {"own-fault"}


@pytest.mark.parametrize(
    ("observer", "outcome", "code"),
    [
        pytest.param(None, Outcome.ERROR, "unanswered", id="nothing shows that it was refused"),
        pytest.param(
            OBSERVER, Outcome.PASS, None, id="a later message had its effect, it had none"
        ),
    ],
)
def test_a_forgery_without_an_answer_is_refused_only_where_an_observer_shows_it(
    observer, outcome, code
):
    async def silent_to_forgeries(request, number):
        headers = {name.lower(): value for name, value in request.headers}
        stamp, signature = headers[b"x-webhook-timestamp"], headers[b"x-webhook-signature"]
        right = sign(dialects.load("guide"), KEY, stamp, request.body)
        return None if signature == right else Fault.TIMEOUT

    rule = "receiver.signature.tampered-body"
    run = judge(Receiver(silent_to_forgeries), rule, observer_url=observer)
    (result,) = run.report.results
    assert (result.outcome, result.code) == (outcome, code)


@pytest.mark.parametrize("observed", [True, False])
def test_effects_are_counted_where_there_is_an_observer(observed):
    forgetful = ReceiverBehaviour(key=lambda arrival: None)
    options = {} if observed else {"observer_url": None}
    run = judge(Receiver(behaviour=forgetful), "receiver.duplicate.processed-once", **options)
    expected = Outcome.FAIL if observed else Outcome.SKIP
    assert {each.outcome for each in run.report.results} == {expected}
