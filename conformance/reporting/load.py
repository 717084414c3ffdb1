"""A load run for people: a few lines of text, and one HTML page with charts.

Both are made from the run's document, which `schemas/load.schema.json` describes.
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
"""The path in Locust's web UI that shows the verdict of the last run."""

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


def plain(document: dict[str, Any], *, quiet: bool = False) -> str:
    """The run as text; with `quiet` only its last line."""
    parts = [] if quiet else [_head(document), _figures(document), _checks(document)]
    parts.append([_last(document)])
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def page(document: dict[str, Any]) -> str:
    """The run as one HTML file without script that loads nothing from the network."""
    language = document["language"]
    template = environment("reporting").get_template("load.html.j2")
    checks = sorted(document["checks"], key=lambda check: ORDER.index(check["outcome"]))
    return template.render(
        run=document,
        w={name: text.in_(language) for name, text in _WORDS.items()},
        names={outcome.value: name.in_(language) for outcome, name in NAMES.items()},
        statement=VERDICTS[Verdict(document["verdict"])][0].in_(language),
        checks=checks,
        figures=[line.split("  ", 1) for line in _pairs(document)],
        rates=rates(document["timeline"]),
        latencies=latencies(document["timeline"]),
    )


def write(document: dict[str, Any], files: Files) -> None:
    """Write the JSON and the HTML file, if `files` has them. Raises InputError."""
    if files.json is not None:
        text = json.dumps(document, ensure_ascii=False, indent=1)
        put("json", files.json, text + "\n")
    if files.html is not None:
        put("html", files.html, page(document))


def faces(environment: Any) -> Callable[[dict[str, Any]], None]:
    """A function to call with the document of each run that Locust's `environment` ends. It prints the
    run, writes it to the files of --verdict-json and --verdict-html, and shows it in the web UI.
    Raises InputError if such a file cannot be written."""
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

    def show(document: dict[str, Any]) -> None:
        last[:] = [document]
        click.echo(plain(document))
        write(document, files)

    return show


def _head(document: dict[str, Any]) -> list[str]:
    return [
        f"hookproof load {visible(document['target'])}  dialect {visible(document['dialect'])}  "
        f"seed {document['seed']}  users {document['users']}  workers {document['workers']}"
    ]


def _figures(document: dict[str, Any]) -> list[str]:
    return [f"      {line}" for line in _pairs(document)]


def _pairs(document: dict[str, Any]) -> list[str]:
    """Lines of a name and a figure, with two spaces between them."""
    language, rate, latency = document["language"], document["rate"], document["latency"]
    word = {name: text.in_(language) for name, text in _WORDS.items()}
    if not document["users"]:
        return []
    offered = f"{rate['offered']:,.0f}/s {word['offered']}"
    if not rate["paced"]:
        offered += f" ({word['unpaced']})"
    sent = f"{rate['sent']:,.0f}/s {word['sent']}"
    right = f"{rate['achieved']:,.0f}/s {word['achieved']}"
    lines = [f"{word['rate']}  {offered}, {sent}, {right}, {document['seconds']:.1f} s"]
    times = [f"{name} {_time(time)}" for name, time in latency.items() if time is not None]
    lines.append(f"{word['latency']}  {'  '.join(times)}")
    late = document["late_starts"]
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


def _checks(document: dict[str, Any]) -> list[str]:
    language, lines = document["language"], []
    if len({check["message"] for check in document["checks"]}) == 1:
        return []  # one root cause, which the last line states
    for check in sorted(document["checks"], key=lambda check: ORDER.index(check["outcome"])):
        name = NAMES[Outcome(check["outcome"])].in_(language)
        failed = check["outcome"] == "fail"
        lines.append(
            f"{name.upper() if failed else name:5} {check['check']:9} {visible(check['message'])}"
        )
        if check["examples"]:
            examples = ", ".join(check["examples"])
            lines.append(f"{'':16}{_WORDS['examples'].in_(language)} {examples}")
        if failed:
            fix = f"{_WORDS['fix'].in_(language)}: {check['fix']}"
            lines += textwrap.wrap(fix, 96, initial_indent=" " * 16, subsequent_indent=" " * 16)
    return lines


def _last(document: dict[str, Any]) -> str:
    text, _ = VERDICTS[Verdict(document["verdict"])]
    failures = [check["check"] for check in document["checks"] if check["outcome"] == "fail"]
    errors = [check["message"] for check in document["checks"] if check["outcome"] == "error"]
    rest = ", ".join(failures) if failures else visible(errors[0]) if errors else ""
    return f"{text.in_(document['language'])}  {document['seconds']:.1f} s  {rest}".rstrip()


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
