"""`hookproof trace`: look into recorded runs, judge them again, export them, compare two of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conformance.cli.options import FILE, shared
from conformance.model.errors import InputError
from conformance.model.language import Language
from conformance.options.commands import REJUDGE

if TYPE_CHECKING:
    from conformance.trace import StoredTrace, TraceFilter

EXPORTS = click.Choice(["jsonl", "har", "parquet", "trace"])
LISTED = 50
"""Exchanges that a list shows without --limit."""


@click.command(
    params=shared(REJUDGE),
    short_help="Look into a recorded run, judge it again, export it.",
)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE [FILE]")
@click.option("--rule", metavar="GLOB", help="List the exchanges of these rules.")
@click.option("--msg-id", metavar="MSGID", help="List the exchanges with this msgId.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    help="List exchanges with this status: 404, 5xx, none (repeatable).",
)
@click.option(
    "--slow",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="List exchanges that took at least this long.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=LISTED,
    show_default=True,
    help="Most lines to list; 0 for all.",
)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    metavar="ID",
    help="Show one exchange as it was on the wire.",
)
@click.option("--follow", metavar="MSGID", help="Follow one message through all its attempts.")
@click.option(
    "--export", type=(EXPORTS, FILE), metavar="FORMAT OUT", help="jsonl, har, parquet or trace."
)
@click.option("--judge", is_flag=True, help="Run the checks again on the recorded exchanges.")
@click.option("--diff", is_flag=True, help="Show what changed from the first FILE to the second.")
def trace(files: Sequence[Path], **arguments: Any) -> None:
    """Look into a trace that a run wrote with --trace FILE, or into a capture of deliveries (JSON
    Lines). Without an option it prints a summary.

    --secret, --dialect, --strict, --json, --junit, --html and --quiet are for --judge."""
    _check_usage(files, arguments)
    from conformance.trace import StoredTrace

    if arguments["diff"]:
        with StoredTrace.open(files[0]) as before, StoredTrace.open(files[1]) as after:
            _diff(before, after, arguments["lang"])
    with StoredTrace.open_any(files[0]) as opened:
        stored = opened.redacted() if arguments["redact"] else opened
        _view(stored, arguments)


def _check_usage(files: Sequence[Path], arguments: dict[str, Any]) -> None:
    """Raises InputError for options that do not go together."""
    if arguments["diff"] and len(files) != 2:
        raise InputError("--diff: give two traces, the earlier one first")
    if not arguments["diff"] and len(files) > 1:
        raise InputError("{file}: only --diff takes two traces", file=str(files[1]))
    views = [name for name in ("show", "follow", "export", "judge", "diff") if arguments[name]]
    if len(views) > 1:
        raise InputError("--{one} and --{other}: give one of them", one=views[0], other=views[1])
    for name in ("secret", "dialect", "strict", "json", "junit", "html", "quiet"):
        if arguments[name] and not arguments["judge"]:
            raise InputError("--{name} needs --judge", name=name)


def _view(stored: StoredTrace, arguments: dict[str, Any]) -> None:
    from conformance.trace import TraceFilter

    trace_filter = TraceFilter(
        arguments["rule"], arguments["msg_id"], arguments["statuses"], arguments["slow"]
    )
    if arguments["rule"] is not None:
        _check_rule(stored, arguments["rule"])
    language = arguments["lang"]
    if arguments["judge"]:
        _judge(stored, arguments)
    elif arguments["export"] is not None:
        _export(stored, arguments["export"], trace_filter)
    elif arguments["show"] is not None:
        _show(stored, arguments["show"], language)
    elif arguments["follow"] is not None:
        _follow(stored, arguments["follow"])
    elif trace_filter:
        _list(stored, trace_filter, arguments["limit"])
    else:
        from conformance.reporting.trace_view import summary

        _print(summary(stored.summary(), stored.results, stored.path, language))


def _check_rule(stored: StoredTrace, pattern: str) -> None:
    """Raises InputError for a pattern that fits no rule, neither one in the file nor a built-in one."""
    from conformance.scenario.load import built_in, meant
    from conformance.trace import TraceFilter

    name = pattern.partition("[")[0] if pattern.endswith("]") else pattern
    if name in stored.rules or stored.count(TraceFilter(rule=pattern)):
        return
    shipped = (scenario.rule.id for side in ("receiver", "sender") for scenario in built_in(side))
    ids = list(dict.fromkeys([*stored.rules, *shipped]))
    if not any(fnmatchcase(rule, glob) for rule in ids for glob in (name, pattern)):
        hint = meant(name, ids)
        raise InputError(
            "--rule: no rule fits {pattern!r}{hint} (see `hookproof rules`)",
            pattern=pattern,
            hint=hint,
        )


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _list(stored: StoredTrace, trace_filter: TraceFilter, limit: int) -> None:
    from conformance.reporting.trace_view import line

    outcomes = {(result.rule.id, result.case): result.outcome for result in stored.results}
    for exchange, attempt in stored.find_with_attempts(trace_filter, limit or -1):
        outcome = outcomes.get((exchange.rule or "", exchange.case))
        click.echo(line(exchange, attempt, outcome))
    total = stored.count(trace_filter)
    if 0 < limit < total:
        click.echo(f"… {total - limit:,} more (--limit 0 shows all)")
    elif total == 0:
        click.echo("nothing fits")


def _show(stored: StoredTrace, number: int, language: Language) -> None:
    from conformance.reporting.trace_view import exchange

    try:
        recorded = stored[number]
    except KeyError:
        raise InputError(
            "--show: no exchange in {path} has the id {number}",
            path=str(stored.path),
            number=number,
        ) from None
    epoch = stored.run["epoch"] if stored.run is not None else None
    _print(exchange(recorded, epoch, stored.results, language))


def _follow(stored: StoredTrace, msg_id: str) -> None:
    from conformance.reporting.trace_view import message
    from conformance.trace import TraceFilter

    exchanges = sorted(
        stored.find(TraceFilter(msg_id=msg_id)),
        key=lambda exchange: (exchange.started, exchange.id),
    )
    if not exchanges:
        raise InputError(
            "--follow: no exchange in {path} has the msgId {msg_id}",
            path=str(stored.path),
            msg_id=msg_id,
        )
    _print(message(exchanges, stored.accepted))


def _export(stored: StoredTrace, destination: tuple[str, Path], trace_filter: TraceFilter) -> None:
    from conformance.trace.export import STDOUT, export

    kind, path = destination
    number = export(stored, kind, path, trace_filter)
    if path != STDOUT:
        click.echo(f"{path}: {number:,} exchange{'' if number == 1 else 's'}")


def _diff(before: StoredTrace, after: StoredTrace, language: Language) -> None:
    from conformance.reporting.compare import compare
    from conformance.reporting.trace_view import comparison

    for stored in (before, after):
        if stored.run is None:
            raise InputError("--diff: {path} holds no results of a run", path=str(stored.path))
    sides = {stored.run["side"] for stored in (before, after) if stored.run is not None}
    if len(sides) > 1:
        raise InputError("--diff: one trace is of a receiver, the other of a sender")
    changes = compare(before.results, after.results)
    _print(comparison(changes, language))
    sys.exit(1 if changes.worse else 0)


def _judge(stored: StoredTrace, arguments: dict[str, Any]) -> None:
    from conformance.engine.rejudge import judge_again
    from conformance.reporting.files import Files
    from conformance.reporting.terminal import print_report

    files = Files(json=arguments["json"], junit=arguments["junit"], html=arguments["html"])
    files.check()
    report = judge_again(
        stored,
        arguments["secret"],
        dialect=arguments["dialect"],
        strict=True if arguments["strict"] else None,
        language=arguments["lang"],
    )
    print_report(report, quiet=arguments["quiet"])
    files.write(report)
    sys.exit(report.exit_status)
