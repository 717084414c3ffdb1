"""The report of a load run: its figures in the terminal and on the page, its charts, and its schema."""

import json
from dataclasses import replace

import pytest

from conformance.model.rules import Verdict
from conformance.protocol.validation import problems
from conformance.reporting import charts, languages
from conformance.reporting.html.page import page
from conformance.reporting.junit import junit
from conformance.reporting.load import charts_of, figures_of
from conformance.reporting.terminal import plain
from tests.load.runs import SECRET, SETTINGS, WELL, figures, ledger, observed, observer, report

PACED = replace(SETTINGS, user_rate=2.0)


def failing(**changes):
    lost = observer(lost=3, examples={"lost": ["1"]})
    return report(observer=lost, exchanges=[*WELL[:3], observed(4, 1, 0)], **changes)


def values(made):
    return {str(name): str(text) for name, text in figures_of(made)}


def test_a_recorded_load_run_is_judged_by_its_rules():
    made = failing()
    outcomes = {result.rule.id: result.outcome.value for result in made.results}
    assert outcomes.pop("receiver.load.lost") == "fail"
    assert made.verdict is Verdict.FAIL
    assert set(outcomes.values()) == {"pass", "skip"}  # no repeat is seen to have had one effect


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="pass"),
        pytest.param({"settings": PACED, "observer": None}, id="paced, without an observer"),
        pytest.param({"settings": replace(SETTINGS, max_p99=None)}, id="without a limit"),
    ],
)
def test_the_report_fits_its_schema_and_holds_no_secret(changes):
    text = json.dumps(report(ledger(late=3, refused=1), **changes).as_json())
    assert problems("report", json.loads(text)) == []
    assert SECRET not in text


def test_the_achieved_rate_counts_right_answers_per_second():
    assert figures().rate["achieved"] == pytest.approx(110 / 3, abs=0.1)


def test_the_figures_stand_before_the_findings_in_the_terminal():
    lines = plain(failing()).splitlines()
    figure = next(at for at, line in enumerate(lines) if "of 120 messages 3 lost" in line)
    assert figure < next(at for at, line in enumerate(lines) if line.startswith("FAIL"))


def test_quiet_is_one_line():
    assert len(plain(failing(), quiet=True).splitlines()) == 1


def test_a_paced_run_says_who_held_up_late_starts():
    paced = values(figures(settings=PACED))
    assert "late" in paced
    assert "as fast as answers came" not in paced["rate"]


def test_a_run_without_a_pace_says_so():
    unpaced = values(figures())
    assert "late" not in unpaced
    assert "as fast as answers came" in unpaced["rate"]


def test_a_run_without_users_has_no_figures():
    assert values(figures(users=0)) == {}


def test_texts_come_in_traditional_chinese():
    made = failing(language=languages.load("zh-Hant"))
    assert plain(made).splitlines()[-1].startswith("失敗")
    assert "as fast as answers came" not in plain(made)


def test_the_page_draws_rates_latencies_and_durations():
    text = page(failing())
    assert text.count("<polyline") == 6
    assert text.count('class="in-time"') == 1


def test_a_run_of_no_second_has_no_charts():
    assert list(charts_of(figures(timeline=[]))) == []


def test_the_last_second_is_no_rate_for_it_is_not_whole():
    (_, drawing, _), *_ = charts_of(figures())
    assert "1 s" in drawing
    assert "2 s" not in drawing


def test_latencies_are_drawn_in_powers_of_ten():
    drawing = charts.logarithmic({"p50": [(0, 0.002), (1, 0.02)], "p99": [(0, 3.0), (1, None)]})
    assert all(f">{label}<" in drawing for label in ("1 ms", "10 ms", "100 ms", "1 s", "10 s"))


def test_junit_has_a_case_for_each_rule_of_load():
    assert junit(failing()).count(b"<testcase") == 6
