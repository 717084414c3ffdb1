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
from conformance.model.language import Language
from conformance.model.rules import Outcome, Verdict
from conformance.model.sentence import Sentence
from conformance.reporting import languages
from conformance.reporting.files import Files, put
from conformance.reporting.load_charts import latencies, rates
from conformance.reporting.pages.templates import environment
from conformance.reporting.terminal import NAMES, VERDICTS

ORDER = ("fail", "error", "skip", "pass")
PLACE = "/hookproof"
"""Where Locust's web UI shows the verdict of its last run."""

_WORDS = {
    "rate": Sentence("rate"),
    "latency": Sentence("latency"),
    "late": Sentence("late"),
    "fix": Sentence("fix"),
    "offered": Sentence("offered"),
    "sent": Sentence("sent"),
    "achieved": Sentence("answered correctly"),
    "wrong": Sentence("failed"),
    "unpaced": Sentence("as fast as answers came"),
    "per-second": Sentence("requests per second"),
    "how-long": Sentence("response times"),
    "users": Sentence("users"),
    "workers": Sentence("workers"),
    "dialect": Sentence("dialect"),
    "seed": Sentence("seed"),
    "started": Sentence("started"),
    "took": Sentence("took"),
    "report": Sentence("load report"),
    "examples": Sentence("for instance"),
    "none": Sentence("No run has ended yet."),
    "nothing": Sentence("Nothing was measured."),
}


def plain(report: dict[str, Any], *, quiet: bool = False) -> str:
    """The run as text; only its last line if `quiet`."""
    parts = [] if quiet else [_head(report), _figures(report), _checks(report)]
    return "\n\n".join("\n".join(lines) for lines in [*parts, [_last(report)]] if lines) + "\n"


def page(report: dict[str, Any]) -> str:
    """The run as one HTML page, without scripts and without anything from the network."""
    language = _language(report)
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
            return page(last[0]) if last else _WORDS["none"].in_(languages.load(options.lang))

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
    language, rate, latency = _language(report), report["rate"], report["latency"]
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
        text = Sentence(
            "of {starts:,} starts {count:,} were held up by an earlier answer (p99 {p99}), "
            "{own_count:,} by the load generator itself (p99 {own_p99})",
            starts=late["starts"],
            count=held["count"],
            p99=_time(held["p99"]),
            own_count=own["count"],
            own_p99=_time(own["p99"]),
        )
        lines.append(f"{word['late']}  {text.in_(language)}")
    return lines


def _checks(report: dict[str, Any]) -> list[str]:
    language, lines = _language(report), []
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
    return f"{text.in_(_language(report))}  {report['seconds']:.1f} s  {rest}".rstrip()


def _language(report: dict[str, Any]) -> Language:
    return languages.load(report["language"])


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
