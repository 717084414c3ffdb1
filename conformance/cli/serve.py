"""`hookproof serve receiver` and `hookproof serve sender`: run a reference part."""

from __future__ import annotations

from typing import Any

import click

from conformance.cli.event_loop import run_async
from conformance.cli.options import PORT, VERIFYING_SECRET, dialect_option
from conformance.model.errors import InputError


@click.group()
def serve() -> None:
    """Run a reference part."""


@serve.command("receiver")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=5000, show_default=True, help="0 takes a free one.")
@click.option("--secret", required=True, help=VERIFYING_SECRET)
@click.option("--db", metavar="FILE", help="Keep deliveries in this SQLite file; else in memory.")
@dialect_option
def serve_receiver(host: str, port: int, secret: str, db: str | None, dialect: str) -> None:
    """Run the reference receiver until it is stopped."""
    from conformance.live.page import LivePage
    from conformance.options.secrets import read_secret
    from conformance.protocol.signing import Signer
    from conformance.receiver.app import Settings, serve
    from conformance.scenario.dialects import load

    signer = Signer(load(dialect), read_secret(secret))
    settings = Settings(host=host, port=port, follower=LivePage(signer, host))
    run_async(serve(signer, db or ":memory:", settings))


@serve.command("sender")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=5001, show_default=True, help="0 takes a free one.")
@click.option("--db", metavar="FILE", help="Keep its queue in this SQLite file; else in memory.")
@click.option("--api-key", help="Each call needs ?key= with it; or env:NAME, file:PATH.")
@click.option("--backoff-base", default=1.0, show_default=True, help="Seconds of the first wait.")
@click.option(
    "--deny-private", is_flag=True, help="Refuse loopback, private and link-local addresses."
)
@dialect_option
def serve_sender(host: str, port: int, db: str | None, dialect: str, **arguments: Any) -> None:
    """Run the reference sender until it is stopped."""
    from conformance.options.secrets import read_secret
    from conformance.protocol.delivery import Backoff
    from conformance.scenario.dialects import load
    from conformance.sender.app import Settings, serve
    from conformance.sender.worker import Pace

    base, key = arguments["backoff_base"], arguments["api_key"]
    if not 0 < base <= Backoff().cap:
        raise InputError(
            "--backoff-base: must be more than 0 and at most {cap:g} seconds", cap=Backoff().cap
        )
    settings = Settings(
        host=host,
        port=port,
        db=db or ":memory:",
        pace=Pace(backoff=Backoff(base=base)),
        deny_private=arguments["deny_private"],
        api_key=read_secret(key, "--api-key") if key is not None else None,
    )
    run_async(serve(load(dialect), settings))
