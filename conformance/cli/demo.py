"""`hookproof demo`: judge the reference parts that Hookproof brings along."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conformance.cli.event_loop import run_async
from conformance.cli.options import parameters, report_files
from conformance.options.table import ReportOptions

if TYPE_CHECKING:
    from conformance.model.report import Report


@click.command(params=parameters(ReportOptions), short_help="Judge the embedded reference parts.")
def demo(**arguments: Any) -> None:
    """Judge the embedded reference receiver and the embedded reference sender, and write
    hookproof-report.html. Files about the sender have -sender in their names."""
    from conformance.engine.receiver.side import ReceiverSide
    from conformance.engine.runner import Runner
    from conformance.engine.sender.side import SenderSide
    from conformance.gallery.reference import reference_receiver, reference_sender
    from conformance.reporting.terminal import print_report

    html = arguments["html"] or Path("hookproof-report.html")
    receiver_files = report_files({**arguments, "html": html})
    sender_files = receiver_files.about("sender")
    sender_files.check()

    async def judge_receiver() -> Report:
        async with reference_receiver() as options:
            return await Runner(ReceiverSide(options), language=arguments["lang"]).report()

    async def judge_sender() -> Report:
        async with reference_sender() as options:
            return await Runner(SenderSide(options), language=arguments["lang"]).report()

    status = 0
    for judge, files in ((judge_receiver, receiver_files), (judge_sender, sender_files)):
        report = run_async(judge())
        print_report(report, quiet=arguments["quiet"])
        files.write(report)
        click.echo(f"The report: {files.html}")
        status = max(status, report.exit_status)
    sys.exit(status)
