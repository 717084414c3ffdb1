"""`hookproof check receiver` and `hookproof check sender`: judge a live endpoint."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from conformance.cli.event_loop import run_async
from conformance.cli.options import (
    FILE,
    VERIFYING_SECRET,
    read_run_options,
    report_files,
    report_options,
    run_options,
)
from conformance.model.errors import InputError

if TYPE_CHECKING:
    from conformance.engine.events import Event
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


@check.command("receiver", short_help="Judge the receiver at a URL.")
@click.argument("url")
@click.option("--secret", required=True, help=VERIFYING_SECRET)
@click.option("--observer-url", metavar="TEMPLATE", help='With {msgId}; answers {"count": N}.')
@click.option(
    "--restart-command", metavar="CMD", help="Kills the receiver hard and starts it again."
)
@click.option("--also-url", metavar="URL", help="Another instance of the same service.")
@click.option(
    "--header", "headers", multiple=True, metavar="'K: V'", help="Sent with every request."
)
@run_options
@report_options
def check_receiver(**arguments: Any) -> None:
    """Judge the receiver at URL: each rule that it keeps or breaks, why it matters, and how to fix
    it."""
    from conformance.options.receiver import Options, read_header

    options = Options(
        url=arguments["url"],
        observer_url=arguments["observer_url"],
        also_url=arguments["also_url"],
        headers=tuple(read_header(line) for line in arguments["headers"]),
        **read_run_options(arguments),
    )
    from conformance.engine.receiver.side import ReceiverSide

    _judge(ReceiverSide(options), arguments)


@check.command("sender", short_help="Judge the sender behind an API.")
@click.argument("api_url")
@click.option("--secret", required=True, help="What it is to sign with; or env:NAME, file:PATH.")
@click.option("--emit-url", metavar="URL", help="Takes one message event as JSON; 2xx: accepted.")
@click.option("--emit-command", metavar="CMD", help="Takes the event on its standard input.")
@click.option("--restart-command", metavar="CMD", help="Kills the sender hard and starts it again.")
@click.option("--api-key", metavar="K", help="Sent as ?key=K; or env:NAME, file:PATH.")
@click.option("--tls-cert", type=FILE, help="The mock receiver on https: a certificate, …")
@click.option("--tls-key", type=FILE, help="… which the sender trusts, and its key.")
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the mock receiver listens.",
)
@click.option("--public-url", metavar="URL", help="How the sender reaches the mock receiver.")
@run_options
@report_options
def check_sender(**arguments: Any) -> None:
    """Judge the sender with the operations Config, List, Test and Update under API_URL: what its
    deliveries get wrong on the wire, why it matters, and how to fix it. The run creates
    configurations that point to a mock receiver, and removes them at the end."""
    from conformance.options.secrets import read_secret
    from conformance.options.sender import SenderOptions, read_listen

    key = arguments["api_key"]
    options = SenderOptions(
        api_url=arguments["api_url"],
        emit_url=arguments["emit_url"],
        emit_command=arguments["emit_command"],
        api_key=read_secret(key, "--api-key") if key is not None else None,
        tls_cert=arguments["tls_cert"],
        tls_key=arguments["tls_key"],
        listen=read_listen(arguments["listen"]),
        public_url=arguments["public_url"],
        **read_run_options(arguments),
    )
    from conformance.engine.sender.side import SenderSide

    _judge(SenderSide(options), arguments)


def _judge(side: Side, arguments: dict[str, Any]) -> None:
    """Run, print the report, write its files, and exit with the verdict's status."""
    from conformance.engine.events import RunFinished
    from conformance.engine.runner import Runner
    from conformance.reporting.progress import progress
    from conformance.reporting.terminal import print_report

    files, quiet = report_files(arguments), arguments["quiet"]
    with progress(quiet=quiet) as advance:

        def listen(event: Event) -> None:
            advance(event)
            if isinstance(event, RunFinished):
                print_report(event.report, quiet=quiet)
                files.write(
                    event.report
                )  # last: the report is seen even if a file cannot be written

        report = run_async(Runner(side, listen, language=arguments["lang"]).report())
    sys.exit(report.exit_status)
