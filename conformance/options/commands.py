"""The tables of the commands that make no run of the suite: `serve`, `load`, `trace`, `selftest`, `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.options.table import (
    Kind,
    ReceiverTable,
    ReportOptions,
    RunOptions,
    SenderTable,
    declare,
    options,
    pick,
    same,
    table,
)
from conformance.protocol.delivery import Backoff

if TYPE_CHECKING:
    from conformance.protocol.dialect import Dialect, Secret


@table
class ServeReceiver:
    """The options of `serve receiver`."""

    host: str = declare("The address to listen on.", metavar="HOST", default="127.0.0.1")
    port: int = declare("0 takes a free one.", Kind.WHOLE, default=5000, low=0, high=65535)
    secret: Secret = same(RunOptions, "secret")
    db: str | None = declare(
        "Keep what must last in this SQLite file; else in memory.", metavar="FILE", default=None
    )
    dialect: Dialect = same(RunOptions, "dialect")


@table
class ServeSender:
    """The options of `serve sender`."""

    host: str = same(ServeReceiver, "host")
    port: int = same(ServeReceiver, "port", default=5001)
    db: str | None = same(ServeReceiver, "db")
    api_key: Secret | None = same(
        SenderTable, "api_key", "Each call needs ?key= with it; or env:NAME, file:PATH."
    )
    backoff_base: float = declare(
        "Seconds of the first wait.", Kind.NUMBER, default=1.0, above=0, high=Backoff().cap
    )
    deny_private: bool = declare(
        "Refuse loopback, private and link-local addresses.", Kind.FLAG, default=False
    )
    dialect: Dialect = same(RunOptions, "dialect")


@table
class Load:
    """The options of `load` alone."""

    users: int = declare("Users at once.", Kind.WHOLE, default=50, low=1)
    spawn_rate: float = declare(
        "Users to start per second.", Kind.NUMBER, metavar="N", default=50.0, above=0
    )
    run_time: str = declare("As in 90s, 5m, 1h30m.", metavar="TIME", default="60s")
    user_rate: float | None = declare(
        "Requests per second of each user; by default as fast as answers come.",
        Kind.NUMBER,
        metavar="N",
        above=0,
        default=None,
    )
    max_p99: float | None = declare(
        "Highest p99; without it p99 is not judged.", Kind.NUMBER, above=0, default=None
    )
    effect_timeout: float = declare(
        "Wait so long for effects after the last message.", Kind.NUMBER, default=10.0, low=0
    )
    max_fail_ratio: float = declare(
        "Share of requests that may fail.", Kind.NUMBER, metavar="N", default=0.0, low=0, high=1
    )
    deadline: float | None = declare(
        "By default the dialect's: 5.", Kind.NUMBER, above=0, default=None
    )
    mix: str | None = declare(
        "ordinary=7,repeats=1,forgeries=1,storms=1", metavar="NAME=N,…", default=None
    )


LOAD = [
    *pick(ReceiverTable, "url", "observer_url"),
    *pick(RunOptions, "secret", "dialect", kind=Kind.TEXT),  # Locust reads them, in its own process
    *options(Load).values(),
    *pick(RunOptions, "seed", "ca", "strict"),
    *options(ReportOptions).values(),
]

REJUDGE = [
    *pick(RunOptions, "secret", "dialect", default=None),
    *pick(RunOptions, "strict"),
    *pick(ReportOptions, "json", "junit", "html", "redact", "lang", "quiet"),
]
"""The options that `trace` shares with `check`."""
