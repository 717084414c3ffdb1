"""The checks of a load run: which faults they name, with which evidence, and what is not judged."""

from dataclasses import replace

import pytest

from conformance.checks.receiver.load import EXAMPLES
from conformance.checks.registry import CHECKS
from conformance.load import histogram
from conformance.model.exchange import Fault
from conformance.model.load import Kind, ResponseClass
from conformance.model.rules import NO_EVIDENCE, Finding, Held, Level, Unjudged
from tests.load.runs import RULES, SETTINGS, WELL, ledger, observed, observer, run, sent

NAMES = [scenario.check for scenario in RULES]


def judged(name, made):
    (judgement,) = CHECKS["receiver"][f"load-{name}"].judge(made, None, Level.MUST)
    return judgement


def found(name, made):
    """The finding of a check, which must be one: its code, its parameters and its exchanges."""
    finding = judged(name, made)
    assert isinstance(finding, Finding)
    return finding.code, finding.message.parameters, finding.exchanges


def unjudged(name, made):
    judgement = judged(name, made)
    assert isinstance(judgement, Unjudged)
    return judgement.code, judgement.error


@pytest.mark.parametrize("name", NAMES)
def test_a_run_in_which_all_went_well_holds_by_its_exchanges(name):
    (judgement,) = CHECKS["receiver"][name].judge(run(), None, Level.MUST)
    assert isinstance(judgement, Held)
    assert set(judgement.evidence) <= {exchange.id for exchange in WELL}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_holds_without_an_exchange_that_shows_it(name):
    (judgement,) = CHECKS["receiver"][name].judge(run(exchanges=()), None, Level.MUST)
    assert isinstance(judgement, Unjudged)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_holds_when_nothing_was_answered(name):
    silent = ledger(right=0, repeats=0, forgeries=0, unanswered=9)
    silent.figures.responses[Kind.FORGERY, ResponseClass.UNANSWERED] = 9
    exchanges = [sent(1, status=None, fault=Fault.REFUSED)]
    made = run(silent, exchanges=exchanges)
    (judgement,) = CHECKS["receiver"][name].judge(made, None, Level.MUST)
    assert isinstance(judgement, Finding if name == "load-answers" else Unjudged)


def test_a_valid_request_that_was_not_answered_200_is_found():
    made = run(ledger(refused=2, unanswered=1), exchanges=[*WELL, sent(7, status=503)])
    code, parameters, exchanges = found("answers", made)
    assert (code, parameters["bad"], parameters["sent"], exchanges) == ("not-200", 3, 113, (7,))


def test_a_share_of_failures_may_be_allowed():
    lenient = replace(SETTINGS, max_fail_ratio=0.02)
    assert isinstance(judged("answers", run(ledger(refused=2), settings=lenient)), Held)
    assert isinstance(judged("answers", run(ledger(refused=3), settings=lenient)), Finding)


def test_a_load_of_no_valid_request_is_an_error():
    assert unjudged("answers", run(ledger(right=0, repeats=0))) == ("nothing-sent", True)


def test_a_late_200_is_late_and_answered():
    late = [*WELL, sent(7, sent=1.0, ended=7.0), sent(8, status=None, fault=Fault.TIMEOUT)]
    made = run(ledger(late=2), exchanges=late)
    code, parameters, exchanges = found("deadline", made)
    assert (code, parameters["count"], exchanges) == ("late", 2, (7, 8))
    assert isinstance(judged("answers", made), Held)


def test_answers_that_are_too_slow_are_found_by_their_percentile():
    slow = ledger()
    for _ in range(5):
        histogram.record(slow.figures.times, 6.0)
    made = run(slow, exchanges=[*WELL, sent(7, sent=1.0, ended=7.0)])
    code, parameters, exchanges = found("p99", made)
    assert (code, exchanges) == ("slow", (7,))
    assert parameters["actual"] == pytest.approx(6, rel=0.02)


def test_a_percentile_is_judged_only_on_request():
    made = run(settings=replace(SETTINGS, max_p99=None))
    assert unjudged("p99", made) == ("needs-max-p99", False)


def test_the_load_generators_own_delay_is_not_blamed_on_the_receiver():
    slow = ledger()
    for _ in range(5):
        histogram.record(slow.figures.times, 5.2)
    for _ in range(100):
        histogram.record(slow.figures.ticks, 0.5)
    assert unjudged("p99", run(slow)) == ("generator-slow", True)


def test_lost_messages_are_counted_and_shown():
    lost = observer(lost=12, examples={"lost": ["1", "7"]})
    made = run(observer=lost, exchanges=[*WELL[:3], observed(4, 1, 0), observed(5, 7, 0)])
    code, parameters, exchanges = found("lost", made)
    assert (code, parameters["count"], parameters["promised"]) == ("lost", 12, 100)
    assert parameters["examples"] == "1, 7"
    # What the observer answered, and the delivery where it was recorded.
    assert exchanges == (4, 5, 1)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [("time", ("effects-late", False)), ("stopped", ("stopped", True))],
)
def test_effects_that_are_still_appearing_are_not_lost(ended, expected):
    assert unjudged("lost", run(observer=observer(lost=3, ended=ended))) == expected


def test_doubled_messages_are_counted_and_shown():
    doubled = observer(doubled=1, ended="stopped", examples={"doubled": ["2"]})
    exchanges = [*WELL[:4], observed(5, 2, 2)]
    code, parameters, shown = found("doubled", run(observer=doubled, exchanges=exchanges))
    assert (code, parameters["count"], shown) == ("doubled", 1, (5, 2))


def test_once_is_not_believed_before_a_later_effect_has_shown():
    assert unjudged("doubled", run(observer=observer(later=False))) == ("no-later-effect", False)


def test_a_forgery_that_was_answered_2xx_is_found():
    made = ledger()
    made.figures.responses[Kind.FORGERY, ResponseClass.ACCEPTED] = 1
    taken = [*WELL, sent(7, Kind.FORGERY, 202)]
    code, parameters, exchanges = found("forged", run(made, exchanges=taken))
    assert (code, parameters["accepted"], exchanges) == ("forged", 1, (7,))


def test_a_forgery_that_was_refused_and_took_effect_is_found():
    taken = observer(forged=1, examples={"forged": ["3"]})
    exchanges = [*WELL[:5], observed(6, 3, 1)]
    code, parameters, shown = found("forged", run(observer=taken, exchanges=exchanges))
    assert (code, parameters["accepted"], shown) == ("forged", 0, (6, 3))


@pytest.mark.parametrize("name", ["lost", "doubled"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"observer": None}, ("needs-observer-url", False), id="no observer"),
        pytest.param({"observer": observer(unread=1)}, ("observer-silent", True), id="silent"),
        pytest.param({"missing_workers": 1}, ("worker-missing", True), id="missing worker"),
    ],
)
def test_effects_that_are_not_all_known_are_not_judged(name, changes, expected):
    assert unjudged(name, run(**changes)) == expected


@pytest.mark.parametrize(("name", "kind"), [("forged", "forgeries"), ("doubled", "repeats")])
def test_what_was_not_sent_is_not_judged(name, kind):
    assert unjudged(name, run(ledger(repeats=0, forgeries=0))) == (f"no-{kind}", False)


def test_a_finding_cites_a_few_exchanges():
    many = [sent(number, status=500) for number in range(1, 50)]
    _, _, exchanges = found("answers", run(ledger(refused=49), exchanges=many))
    assert len(exchanges) == EXAMPLES


def test_a_message_that_was_never_answered_200_shows_no_effect():
    made = run(exchanges=[sent(1, status=500), observed(2, 1, 0)])
    assert unjudged("lost", made) == ("none-acknowledged", False)
    assert judged("doubled", made) == NO_EVIDENCE


@pytest.mark.parametrize("name", NAMES)
def test_nothing_holds_by_the_figures_of_some_workers(name):
    (judgement,) = CHECKS["receiver"][name].judge(run(missing_workers=1), None, Level.MUST)
    assert judgement.code == "worker-missing"
