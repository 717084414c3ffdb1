"""A sender that is served here, and runs of the suite against it, for tests of whole runs."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from conformance import check_sender
from conformance.model.rules import Outcome, Verdict
from conformance.protocol.delivery import Backoff
from conformance.scenario.dialects import load
from conformance.sender.app import Settings, serving_sender
from conformance.sender.worker import Pace
from tests.patience import RUN
from tests.sender.parts import ask

SECRET = "a-secret-that-nobody-prints"
KEY = "key-that-nobody-prints"
PACE = Pace(Backoff(base=0.05))
LONG_WAITS = Pace(Backoff(base=0.3))
"""Where waits are judged: what a busy machine adds to one must be little beside it."""
QUICK = ("sender.wire.*", "sender.config.create-list", "sender.duplicate.*")


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def reference(**settings):
    dialect = settings.pop("dialect", None) or load("guide")
    return serving_sender(dialect, Settings(**{"pace": PACE} | settings))


async def check(api, rules=QUICK, emit=True, **options):
    return await check_sender(
        api,
        secret=options.pop("secret", SECRET),
        rules=rules,
        **({"emit_url": f"{api}/Emit"} if emit else {}),
        **{"timeout": RUN, **options},
    )


def having(report, *outcomes):
    return {each.name for each in report.results if each.outcome in outcomes}


def stop(report):
    """Why the run could not begin: the code of its one error, and the fault or the status that shows it."""
    (stopped,) = report.having(Outcome.ERROR)
    assert report.verdict is Verdict.ERROR
    assert report.cause == stopped.message
    exchange = report.trace[stopped.exchanges[0]]
    return stopped.code, exchange.fault or exchange.status


def broken(report):
    return having(report, Outcome.FAIL, Outcome.WARN, Outcome.NOTE)


def of(report, rule):
    return [each for each in report.results if each.rule.id == rule]


async def listed(api, query=""):
    return (await asyncio.to_thread(ask, "GET", f"{api}/List{query}")).data


def trusting(certificate):
    return ssl.create_default_context(cafile=certificate)


@asynccontextmanager
async def serving(app):
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def listening(connected, port=0):
    async with await asyncio.start_server(connected, "127.0.0.1", port) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/webhook"


async def silent(reader, writer):
    await asyncio.sleep(60)
