"""`hookproof check receiver` and `hookproof check sender`: judge a live endpoint."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from conformance.cli.event_loop import run_async
from conformance.cli.options import parameters, report_files, values
from conformance.model.errors import InputError
from conformance.options.table import EXAMPLES, ReceiverTable, ReportOptions, SenderTable

if TYPE_CHECKING:
    from conformance.engine.events import Event, Listener
    from conformance.engine.runner import Side


class _CheckGroup(click.Group):
    """Recognises a URL in the place of `receiver` or `sender`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0].startswith(("http://", "https://")):
            raise InputError(
                "check: name the side before {target}: did you mean `hookproof check receiver URL`, "
                "or `hookproof check sender API_URL`?",
                target=args[0],
            )
        return super().resolve_command(ctx, args)


@click.group(cls=_CheckGroup)
def check() -> None:
    """Judge a live endpoint."""


@check.command(
    "receiver",
    params=parameters(ReceiverTable, ReportOptions),
    short_help="Judge the receiver at a URL.",
)
def check_receiver(**arguments: Any) -> None:
    """Judge the receiver at URL: each rule that it keeps or breaks, why it matters, and how to fix
    it."""
    from conformance.engine.receiver.side import ReceiverSide
    from conformance.options.receiver import Options

    options = Options(**values(ReceiverTable, arguments), examples=EXAMPLES)
    _judge(ReceiverSide(options), arguments)


@check.command(
    "sender",
    params=parameters(SenderTable, ReportOptions),
    short_help="Judge the sender behind an API.",
)
def check_sender(**arguments: Any) -> None:
    """Judge the sender with the operations Config, List, Test and Update under API_URL: what its
    deliveries get wrong on the wire, why it matters, and how to fix it. The run creates
    configurations that point to a mock receiver, and removes them at the end."""
    from conformance.engine.sender.side import SenderSide
    from conformance.options.sender import SenderOptions

    options = SenderOptions(**values(SenderTable, arguments), examples=EXAMPLES)
    _judge(SenderSide(options), arguments)


def _judge(side: Side, arguments: dict[str, Any]) -> None:
    """`judge_side`, with its progress on the terminal."""
    from conformance.reporting.progress import progress

    with progress(quiet=arguments["quiet"]) as advance:
        judge_side(side, arguments, advance)


def judge_side(side: Side, arguments: dict[str, Any], advance: Listener) -> None:
    """Run, print the report, write its files, and exit with the verdict's status."""
    from conformance.engine.runner import Runner
    from conformance.model.report import Report
    from conformance.reporting.terminal import print_report

    files, quiet = report_files(arguments), arguments["quiet"]

    def listen(event: Event) -> None:
        advance(event)
        if isinstance(event, Report):
            print_report(event, quiet=quiet)
            files.write(event)  # last: the report is seen even if a file cannot be written

    report = run_async(Runner(side, listen, language=arguments["lang"]).report())
    sys.exit(report.exit_status)
