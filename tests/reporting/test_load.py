"""A load report for people: what comes first, both languages, and hostile content."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from conformance.load.report import load_report
from conformance.load.verdict import judge
from conformance.model.sentence import Sentence
from conformance.reporting import languages
from conformance.reporting.files import Files
from conformance.reporting.load import page, plain, write
from conformance.reporting.load_charts import latencies, rates
from tests.load.runs import SETTINGS, effects, ledger, run

HOSTILE = "http://127.0.0.1/<script>alert(1)</script>\x1b[31m"


def report(made):
    return load_report(made, judge(made), languages.load(made.settings.language))


def failing(**changes):
    made = ledger()
    lost = {made.msg_id(number) for number in range(3)}
    return report(run(made, effects=effects([made], lost=lost), **changes))


def test_a_failed_check_comes_first_with_its_ids_and_how_to_fix_it():
    lines = plain(failing()).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("FAIL"))
    assert lines[first].split()[:2] == ["FAIL", "lost"]
    assert "3 of 100 messages that were answered 200 took no effect" in lines[first]
    assert "for instance" in lines[first + 1]
    assert "fix: Store the message durably" in lines[first + 2]
    assert lines[-1].startswith("FAIL  3.0 s  lost")


def test_quiet_is_one_line():
    assert len(plain(failing(), quiet=True).splitlines()) == 1


def test_one_cause_is_printed_once():
    cause = Sentence("the receiver gave no answer: check the URL")
    assert plain(report(run(cause=cause, effects=None))).count(str(cause)) == 1


def test_a_paced_run_says_who_held_up_late_starts():
    text = plain(report(run(settings=replace(SETTINGS, user_rate=2.0))))
    assert "held up by an earlier answer" in text
    assert "as fast as answers came" not in text


def test_a_run_without_a_pace_says_so():
    assert "(as fast as answers came)" in plain(report(run()))


def test_texts_come_in_traditional_chinese():
    made = failing(settings=replace(SETTINGS, language="zh-Hant"))
    assert plain(made).splitlines()[-1].startswith("失敗")
    assert "未被處理" in page(made)
    assert '<html lang="zh-Hant">' in page(made)


def test_the_page_allows_its_own_style_and_nothing_else():
    text = page(failing())
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src &#39;none&#39;; style-src &#39;sha256-{digest}&#39;" in text.replace(
        "'", "&#39;"
    )
    assert "<script" not in text


def test_a_hostile_target_is_escaped():
    made = failing() | {"target": HOSTILE}
    assert "<script" not in page(made)
    assert "\x1b" not in plain(made) + page(made)


def test_the_page_draws_rates_and_latencies():
    assert page(report(run())).count("<polyline") == 6


def test_a_run_of_nothing_has_no_charts():
    assert rates([]) is None
    assert latencies([]) is None


def test_latencies_are_drawn_in_powers_of_ten():
    chart = latencies([{"second": 0, "p50": 0.002, "p95": 0.02, "p99": 3.0}])
    assert [label for _, label in chart.marks] == ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]


@pytest.mark.parametrize("kind", ["json", "html"])
def test_a_report_is_written_to_the_file(kind, tmp_path):
    write(failing(), Files(**{kind: tmp_path / "report"}))
    assert (tmp_path / "report").read_text(encoding="utf-8").startswith(("{", "<!doctype html>"))
