"""A load run for people: a few lines of text, and one HTML page with its charts.

Both are made from the run's report, which `schemas/load.schema.json` describes.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from conformance.model.escaping import visible
from conformance.model.rules import Outcome, Verdict
from conformance.model.text import Text
from conformance.reporting.files import Files, put
from conformance.reporting.load_charts import latencies, rates
from conformance.reporting.pages.templates import environment
from conformance.reporting.terminal import NAMES, VERDICTS

ORDER = ("fail", "error", "skip", "pass")
PLACE = "/hookproof"
"""Where Locust's web UI shows the verdict of its last run."""

_WORDS = {
    "rate": Text("rate", "速率"),
    "latency": Text("latency", "延遲"),
    "late": Text("late", "遲發"),
    "fix": Text("fix", "修正"),
    "offered": Text("offered", "應發"),
    "sent": Text("sent", "已送"),
    "achieved": Text("answered correctly", "正確響應"),
    "wrong": Text("failed", "出錯"),
    "unpaced": Text("as fast as answers came", "隨響應速度發送"),
    "per-second": Text("requests per second", "每秒請求數"),
    "how-long": Text("response times", "響應時間"),
    "users": Text("users", "使用者"),
    "workers": Text("workers", "worker"),
    "dialect": Text("dialect", "方言"),
    "seed": Text("seed", "種子"),
    "started": Text("started", "開始"),
    "took": Text("took", "歷時"),
    "report": Text("load report", "負載報告"),
    "examples": Text("for instance", "例如"),
    "none": Text("No run has ended yet.", "尚無結束的測試。"),
    "nothing": Text("Nothing was measured.", "沒有測量到任何資料。"),
}


def plain(report: dict[str, Any], *, quiet: bool = False) -> str:
    """The run as text; only its last line if `quiet`."""
    parts = [] if quiet else [_head(report), _figures(report), _checks(report)]
    return "\n\n".join("\n".join(lines) for lines in [*parts, [_last(report)]] if lines) + "\n"


def page(report: dict[str, Any]) -> str:
    """The run as one HTML page, without scripts and without anything from the network."""
    language = report["language"]
    template = environment("reporting").get_template("load.html.j2")
    checks = sorted(report["checks"], key=lambda check: ORDER.index(check["outcome"]))
    return template.render(
        run=report,
        w={name: text.in_(language) for name, text in _WORDS.items()},
        names={outcome.value: name.in_(language) for outcome, name in NAMES.items()},
        statement=VERDICTS[Verdict(report["verdict"])][0].in_(language),
        checks=checks,
        figures=[line.split("  ", 1) for line in _pairs(report)],
        rates=rates(report["timeline"]),
        latencies=latencies(report["timeline"]),
    )


def write(report: dict[str, Any], files: Files) -> None:
    """Write the JSON file and the HTML file that `files` names. Raises InputError."""
    if files.json is not None:
        text = json.dumps(report, ensure_ascii=False, indent=1)
        put("json", files.json, text + "\n")
    if files.html is not None:
        put("html", files.html, page(report))


def faces(environment: Any) -> Callable[[dict[str, Any]], None]:
    """A handler for the reports of the runs in Locust's `environment`.

    It prints a report, writes it to the files of --verdict-json and --verdict-html, and shows it in
    the web UI. Raises InputError for a file that cannot be written.
    """
    options = environment.parsed_options
    json_file, html_file = (
        Path(name) if name else None for name in (options.verdict_json, options.verdict_html)
    )
    files = Files(json=json_file, html=html_file)
    files.check("verdict-")
    last: list[dict[str, Any]] = []
    if environment.web_ui is not None:

        @environment.web_ui.app.route(PLACE)  # type: ignore[untyped-decorator]
        @environment.web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
        def hookproof() -> str:
            return page(last[0]) if last else _WORDS["none"].in_(options.lang)

    def show(report: dict[str, Any]) -> None:
        last[:] = [report]
        click.echo(plain(report))
        write(report, files)

    return show


def _head(report: dict[str, Any]) -> list[str]:
    return [
        f"hookproof load {visible(report['target'])}  dialect {visible(report['dialect'])}  "
        f"seed {report['seed']}  users {report['users']}  workers {report['workers']}"
    ]


def _figures(report: dict[str, Any]) -> list[str]:
    return [f"      {line}" for line in _pairs(report)]


def _pairs(report: dict[str, Any]) -> list[str]:
    """Lines of a name and its measured values, separated by two spaces."""
    language, rate, latency = report["language"], report["rate"], report["latency"]
    word = {name: text.in_(language) for name, text in _WORDS.items()}
    if not report["users"]:
        return []
    offered = f"{rate['offered']:,.0f}/s {word['offered']}"
    if not rate["paced"]:
        offered += f" ({word['unpaced']})"
    sent = f"{rate['sent']:,.0f}/s {word['sent']}"
    right = f"{rate['achieved']:,.0f}/s {word['achieved']}"
    lines = [f"{word['rate']}  {offered}, {sent}, {right}, {report['seconds']:.1f} s"]
    percentiles = [f"{name} {_time(value)}" for name, value in latency.items() if value is not None]
    lines.append(f"{word['latency']}  {'  '.join(percentiles)}")
    late = report["late_starts"]
    if rate["paced"]:
        held, own = late["held_up"], late["generator"]
        text = Text(
            f"of {late['starts']:,} starts {held['count']:,} were held up by an earlier answer "
            f"(p99 {_time(held['p99'])}), {own['count']:,} by the load generator itself "
            f"(p99 {_time(own['p99'])})",
            f"{late['starts']:,} 次啟動中有 {held['count']:,} 次因先前的響應而延後"
            f"（p99 {_time(held['p99'])}），{own['count']:,} 次因負載產生器自身而延後"
            f"（p99 {_time(own['p99'])}）",
        )
        lines.append(f"{word['late']}  {text.in_(language)}")
    return lines


def _checks(report: dict[str, Any]) -> list[str]:
    language, lines = report["language"], []
    if len({each["message"] for each in report["checks"]}) == 1:
        return []  # one cause, which is in the last line
    for check in sorted(report["checks"], key=lambda one: ORDER.index(one["outcome"])):
        name = NAMES[Outcome(check["outcome"])].in_(language)
        failed = check["outcome"] == "fail"
        lines.append(
            f"{name.upper() if failed else name:5} {check['check']:9} {visible(check['message'])}"
        )
        if check["examples"]:
            lines.append(
                f"{'':16}{_WORDS['examples'].in_(language)} {', '.join(check['examples'])}"
            )
        if failed:
            fix = f"{_WORDS['fix'].in_(language)}: {check['fix']}"
            lines += textwrap.wrap(fix, 96, initial_indent=" " * 16, subsequent_indent=" " * 16)
    return lines


def _last(report: dict[str, Any]) -> str:
    text, _ = VERDICTS[Verdict(report["verdict"])]
    failed = [each["check"] for each in report["checks"] if each["outcome"] == "fail"]
    errors = [each["message"] for each in report["checks"] if each["outcome"] == "error"]
    rest = ", ".join(failed) if failed else visible(errors[0]) if errors else ""
    return f"{text.in_(report['language'])}  {report['seconds']:.1f} s  {rest}".rstrip()


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
