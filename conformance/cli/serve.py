"""`hookproof serve receiver` and `hookproof serve sender`: run a reference part."""

from __future__ import annotations

from typing import Any

import click

from conformance.cli.event_loop import run_async
from conformance.cli.options import parameters
from conformance.options.commands import ServeReceiver, ServeSender


@click.group()
def serve() -> None:
    """Run a reference part."""


@serve.command("receiver", params=parameters(ServeReceiver))
def serve_receiver(**arguments: Any) -> None:
    """Run the reference receiver until it is stopped."""
    from conformance.live.page import LivePage
    from conformance.protocol.signing import Signer
    from conformance.receiver.app import Settings, serve

    options = ServeReceiver(**arguments)
    signer = Signer(options.dialect, options.secret)
    follower = LivePage(signer, options.host)
    settings = Settings(host=options.host, port=options.port, follower=follower)
    run_async(serve(signer, options.db or ":memory:", settings))


@serve.command("sender", params=parameters(ServeSender))
def serve_sender(**arguments: Any) -> None:
    """Run the reference sender until it is stopped."""
    from conformance.protocol.delivery import Backoff
    from conformance.sender.app import Settings, serve
    from conformance.sender.worker import Pace

    options = ServeSender(**arguments)
    settings = Settings(
        host=options.host,
        port=options.port,
        db=options.db or ":memory:",
        pace=Pace(backoff=Backoff(base=options.backoff_base)),
        deny_private=options.deny_private,
        api_key=options.api_key,
    )
    run_async(serve(options.dialect, settings))
