"""The verdict on a load run: which faults are named, what is excused, and what cannot be judged."""

import json
from dataclasses import replace

import pytest

from conformance.load import histogram
from conformance.load.ledger import Kind, ResponseClass
from conformance.load.report import load_report
from conformance.load.verdict import EXAMPLES, checks, judge
from conformance.model.sentence import Sentence
from conformance.protocol.validation import problems
from conformance.reporting import languages
from tests.load.runs import SECRET, SETTINGS, effects, ledger, run


def judged(made):
    return {each.check: each for each in judge(made)}


def outcomes(made):
    return {name: each.outcome.value for name, each in judged(made).items()}


def report(made):
    return load_report(made, judge(made), languages.load(made.settings.language))


ALL_WELL = dict.fromkeys(("answered", "p99", "forged", "lost", "doubled"), "pass")


def test_a_run_in_which_all_went_well_passes():
    assert outcomes(run()) == ALL_WELL
    assert report(run())["verdict"] == "pass"


@pytest.mark.parametrize("response_class", ["late", "refused", "unanswered"])
def test_a_valid_request_that_was_not_answered_200_in_time_fails(response_class):
    finding = judged(run(ledger(**{response_class: 1})))["answered"]
    assert finding.outcome == "fail"
    assert "1 of 111 valid requests" in str(finding.message)
    assert response_class in str(finding.message)


def test_a_share_of_failures_may_be_allowed():
    lenient = replace(SETTINGS, max_fail_ratio=0.02)
    assert outcomes(run(ledger(refused=2), settings=lenient))["answered"] == "pass"
    assert outcomes(run(ledger(refused=3), settings=lenient))["answered"] == "fail"


def test_answers_that_are_too_slow_fail_by_their_percentile():
    slow = ledger()
    for _ in range(5):
        histogram.record(slow.figures.times, 6.0)
    assert outcomes(run(slow))["p99"] == "fail"


def test_the_load_generators_own_delay_is_not_blamed_on_the_receiver():
    slow = ledger()
    for _ in range(5):
        histogram.record(slow.figures.times, 5.2)
    slow.figures.ticks = histogram.Histogram()
    for _ in range(100):
        histogram.record(slow.figures.ticks, 0.5)
    finding = judged(run(slow))["p99"]
    assert finding.outcome == "error"
    assert "use more workers" in str(finding.message)


def test_lost_messages_are_counted_and_named():
    made = ledger()
    lost = {made.msg_id(number) for number in range(EXAMPLES + 2)}
    finding = judged(run(made, effects=effects([made], lost=lost)))["lost"]
    assert (finding.outcome, finding.count) == ("fail", EXAMPLES + 2)
    assert finding.examples == tuple(str(made.msg_id(number)) for number in range(EXAMPLES))


def test_doubled_messages_are_counted_and_named():
    made = ledger()
    finding = judged(run(made, effects=effects([made], doubled={made.msg_id(3)})))["doubled"]
    assert (finding.outcome, finding.examples) == ("fail", (str(made.msg_id(3)),))


def test_a_forgery_that_was_answered_2xx_fails():
    made = ledger()
    made.figures.responses[Kind.FORGERY, ResponseClass.ACCEPTED] = 1
    assert outcomes(run(made))["forged"] == "fail"


def test_a_forgery_that_was_refused_and_took_effect_fails():
    made = ledger()
    finding = judged(run(made, effects=effects([made], forged={made.msg_id(110)})))["forged"]
    assert (finding.outcome, finding.examples) == ("fail", (str(made.msg_id(110)),))


def test_without_an_observer_effects_are_not_judged():
    assert outcomes(run(effects=None)) == ALL_WELL | {"lost": "skip", "doubled": "skip"}
    assert report(run(effects=None))["verdict"] == "pass"


def test_an_observer_that_did_not_report_every_message_is_not_a_pass():
    made = ledger()
    blind = run(made, effects=effects([made], unread=1))
    assert outcomes(blind) == ALL_WELL | {"lost": "error", "doubled": "error"}
    assert report(blind)["verdict"] == "error"


def test_an_observer_that_did_not_report_every_message_may_still_show_a_loss():
    made = ledger()
    half = run(made, effects=effects([made], queries=60, lost={made.msg_id(0)}))
    assert outcomes(half)["lost"] == "fail"


def test_a_worker_that_left_with_its_ledger_is_not_a_pass():
    assert outcomes(run(missing_workers=1)) == ALL_WELL | {"lost": "error", "doubled": "error"}


def test_what_was_not_sent_is_not_judged():
    few = run(ledger(repeats=0, forgeries=0))
    assert outcomes(few) == ALL_WELL | {"forged": "skip", "doubled": "skip"}


def test_a_run_that_could_not_begin_is_an_error_with_its_cause():
    made = report(run(cause=Sentence("the receiver gave no answer"), effects=None))
    assert made["verdict"] == "error"
    assert {each["message"] for each in made["checks"]} == {"the receiver gave no answer"}


def test_a_run_without_a_single_right_answer_is_an_error():
    assert outcomes(run(ledger(right=0, repeats=0, refused=9)))["answered"] == "error"


RUNS = [
    pytest.param(run(), id="pass"),
    pytest.param(run(ledger(late=3), ledger(refused=1)), id="fail over two workers"),
    pytest.param(run(cause=Sentence("x"), effects=None), id="error"),
    pytest.param(run(settings=replace(SETTINGS, user_rate=2.0, language="zh-Hant")), id="paced"),
]


@pytest.mark.parametrize("made", RUNS)
def test_the_report_fits_its_schema_and_holds_no_secret(made):
    text = json.dumps(report(made))
    assert problems("load", json.loads(text)) == []
    assert SECRET not in text


def test_the_achieved_rate_counts_right_answers_per_second():
    assert report(run())["rate"]["achieved"] == pytest.approx(110 / 3, abs=0.1)


@pytest.mark.parametrize("name", list(checks()))
def test_a_check_has_its_texts_in_both_languages(name):
    check = checks()[name]
    assert all((check.title.en, check.title.zh, check.fix.en, check.fix.zh, check.source))
