"""`hookproof trace`: look into recorded runs. Like the rest of the command line, it imports late."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conformance.model.errors import InputError

if TYPE_CHECKING:
    from conformance.trace import StoredTrace, TraceFilter

FILE = click.Path(path_type=Path)
EXPORTS = click.Choice(["jsonl", "har", "parquet", "trace"])
LANGUAGE = click.Choice(["en", "zh-Hant"])
LISTED = 50


@click.command(short_help="Look into a recorded run, judge it again, export it.")
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE [FILE]")
@click.option("--rule", metavar="GLOB", help="List what was sent for these rules.")
@click.option("--msg-id", metavar="MSGID", help="List what was sent with this msgId.")
@click.option(
    "--status", "statuses", multiple=True, help="List these: 404, 5xx, none (repeatable)."
)
@click.option(
    "--slow",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="List what took as long, or longer.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=LISTED,
    show_default=True,
    help="So many lines; 0 for all.",
)
@click.option("--show", type=int, metavar="ID", help="One exchange, as it was on the wire.")
@click.option("--follow", metavar="MSGID", help="One message through all its attempts.")
@click.option(
    "--export", type=(EXPORTS, FILE), metavar="FORMAT OUT", help="jsonl, har, parquet or trace."
)
@click.option("--redact", is_flag=True, help="Without contents and names; sizes stay.")
@click.option("--judge", is_flag=True, help="Run the checks again, on the recorded exchanges.")
@click.option("--secret", help="The run's secret, for --judge; or env:NAME, file:PATH.")
@click.option("--dialect", help="Of captured deliveries, for --judge: a name or a file.")
@click.option("--strict", is_flag=True, help="For --judge: a broken SHOULD fails too.")
@click.option("--json", type=FILE, help="For --judge: write the report as JSON.")
@click.option("--junit", type=FILE, help="For --judge: write the report as JUnit XML.")
@click.option("--html", type=FILE, help="For --judge: write the report as one HTML file.")
@click.option("--quiet", is_flag=True, help="For --judge: print the verdict alone.")
@click.option("--diff", is_flag=True, help="What changed from the first FILE to the second.")
@click.option("--lang", type=LANGUAGE, default="en", help="Language of findings.")
def trace(files: Sequence[Path], **given: Any) -> None:
    """Look into a trace that a run wrote with --trace FILE, or into a capture of deliveries (JSON
    Lines). Without an option it says what is in it."""
    _check_usage(files, given)
    from conformance.trace import StoredTrace

    if given["diff"]:
        with StoredTrace.open(files[0]) as before, StoredTrace.open(files[1]) as after:
            _diff(before, after, given["lang"])
    with StoredTrace.open_any(files[0]) as opened:
        stored = opened.redacted() if given["redact"] else opened
        _look(stored, given)


def _check_usage(files: Sequence[Path], given: dict[str, Any]) -> None:
    if given["diff"] and len(files) != 2:
        raise InputError("--diff: give two traces, the earlier one first")
    if not given["diff"] and len(files) > 1:
        raise InputError(f"{files[1]}: one trace at a time, but for --diff A B")
    ways = [name for name in ("show", "follow", "export", "judge", "diff") if given[name]]
    if len(ways) > 1:
        raise InputError(f"--{ways[0]} and --{ways[1]}: one of them at a time")
    for name in ("secret", "dialect", "strict", "json", "junit", "html", "quiet"):
        if given[name] and not given["judge"]:
            raise InputError(f"--{name} goes with --judge")


def _look(stored: StoredTrace, given: dict[str, Any]) -> None:
    from conformance.trace import TraceFilter

    trace_filter = TraceFilter(given["rule"], given["msg_id"], given["statuses"], given["slow"])
    if given["rule"] is not None:
        _check_rule(stored, given["rule"])
    language = given["lang"]
    if given["judge"]:
        _judge(stored, given)
    elif given["export"] is not None:
        _export(stored, given["export"], trace_filter)
    elif given["show"] is not None:
        _show(stored, given["show"], language)
    elif given["follow"] is not None:
        _follow(stored, given["follow"])
    elif trace_filter:
        _list(stored, trace_filter, given["limit"])
    else:
        from conformance.reporting.trace_view import summary

        _print(summary(stored.summary(), stored.results, stored.path, language))


def _check_rule(stored: StoredTrace, pattern: str) -> None:
    """Raises InputError for a name that fits no rule: neither one in the file nor one that there is."""
    from conformance.scenario.receiver import built_in, meant
    from conformance.trace import TraceFilter

    name = pattern.partition("[")[0] if pattern.endswith("]") else pattern
    if name in stored.rules or stored.count(TraceFilter(rule=pattern)):
        return
    shipped = (each.rule.id for side in ("receiver", "sender") for each in built_in(side))
    known = list(dict.fromkeys([*stored.rules, *shipped]))
    if not any(fnmatchcase(each, glob) for each in known for glob in (name, pattern)):
        hint = meant(name, known)
        raise InputError(f"--rule: no rule fits {pattern!r}{hint} (see `hookproof rules`)")


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _list(stored: StoredTrace, trace_filter: TraceFilter, limit: int) -> None:
    from conformance.reporting.trace_view import line

    outcomes = {(each.rule.id, each.case): each.outcome for each in stored.results}
    for each, attempt in stored.find_with_attempts(trace_filter, limit or -1):
        click.echo(line(each, attempt, outcomes.get((each.rule or "", each.case))))
    found = stored.count(trace_filter)
    if 0 < limit < found:
        click.echo(f"… {found - limit:,} more (--limit 0 shows all)")
    elif found == 0:
        click.echo("nothing fits")


def _show(stored: StoredTrace, number: int, language: str) -> None:
    from conformance.reporting.trace_view import exchange

    try:
        found = stored[number]
    except KeyError:
        raise InputError(f"--show: no exchange in {stored.path} has the id {number}") from None
    epoch = stored.run["epoch"] if stored.run is not None else None
    _print(exchange(found, epoch, stored.results, language))


def _follow(stored: StoredTrace, msg_id: str) -> None:
    from conformance.reporting.trace_view import message
    from conformance.trace import TraceFilter

    found = sorted(
        stored.find(TraceFilter(msg_id=msg_id)), key=lambda each: (each.started, each.id)
    )
    if not found:
        raise InputError(f"--follow: no exchange in {stored.path} has the msgId {msg_id}")
    _print(message(found, stored.accepted))


def _export(stored: StoredTrace, given: tuple[str, Path], trace_filter: TraceFilter) -> None:
    from conformance.trace.export import STDOUT, export

    kind, path = given
    number = export(stored, kind, path, trace_filter)
    if path != STDOUT:
        click.echo(f"{path}: {number:,} exchange{'' if number == 1 else 's'}")


def _diff(before: StoredTrace, after: StoredTrace, language: str) -> None:
    from conformance.reporting.compare import compare
    from conformance.reporting.trace_view import comparison

    for each in (before, after):
        if each.run is None:
            raise InputError(f"--diff: {each.path} does not say what a run found")
    sides = {each.run["side"] for each in (before, after) if each.run is not None}
    if len(sides) > 1:
        raise InputError("--diff: one of the traces is of a receiver, and one of a sender")
    found = compare(before.results, after.results)
    _print(comparison(found, language))
    sys.exit(1 if found.worse else 0)


def _judge(stored: StoredTrace, given: dict[str, Any]) -> None:
    from conformance.engine.rejudge import judge_again
    from conformance.options.secrets import read_secret
    from conformance.reporting.files import Files
    from conformance.reporting.terminal import tell
    from conformance.scenario.dialects import load

    files = Files(json=given["json"], junit=given["junit"], html=given["html"])
    files.check()
    report = judge_again(
        stored,
        read_secret(given["secret"]) if given["secret"] is not None else None,
        dialect=load(given["dialect"]) if given["dialect"] is not None else None,
        strict=True if given["strict"] else None,
        language=given["lang"],
    )
    tell(report, quiet=given["quiet"])
    files.write(report)
    sys.exit(report.exit_status)
