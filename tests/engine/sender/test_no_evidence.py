"""What a sender does not show is not judged: its API fails, or it never tries what must not succeed.

The sender is the reference sender, in this process, behind an API that answers some calls itself.
"""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web

from conformance.model.rules import Outcome
from tests.engine.sender.parts import check, having, of, reference, serving

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@asynccontextmanager
async def behind(**answers):
    """The API of the reference sender, where a call in `answers` is answered by its function; one that
    returns None passes the call on."""
    async with reference() as base, ClientSession(f"{base}/") as client:

        async def handle(request):
            name, body = request.match_info["name"], await request.read()
            answer = await answers[name](request, body) if name in answers else None
            if answer is not None:
                return answer
            passed = await client.request(request.method, name, data=body, params=request.query)
            return web.Response(status=passed.status, body=await passed.read())

        app = web.Application()
        app.router.add_route("*", "/v1/webhook/{name}", handle)
        async with serving(app) as there:
            yield f"{there}/v1/webhook"


async def fails(request, body):
    return web.json_response({"code": 500, "message": "database is locked"}, status=500)


async def test_a_list_that_always_fails_shows_neither_a_masked_secret_nor_an_unchanged_list():
    rules = ("sender.config.create-list", "sender.config.invalid", "sender.config.secret-hidden")
    async with behind(List=fails) as api:
        report = await check(api, rules)
    assert having(report, Outcome.FAIL) == {"sender.config.create-list"}
    assert having(report, Outcome.PASS) == set()
    codes = {each.code for each in of(report, "sender.config.secret-hidden")}
    assert codes == {"list-unread"}


async def refuses_https(request, body):
    if b'"https:' in body:
        return web.json_response(
            {"code": 400, "message": "URL must begin with http://"}, status=400
        )
    return None


async def forgets_https(request, body):
    if b'"https:' in body:
        return web.json_response({"code": 0, "message": "success", "data": {"ID": 99}})
    return None


@needs_openssl
@pytest.mark.parametrize("config", [refuses_https, forgets_https], ids=["refuses", "forgets"])
async def test_a_sender_that_never_tries_https_is_not_praised_for_refusing_a_certificate(config):
    async with behind(Config=config) as api:
        report = await check(api, ("sender.https.untrusted",))
    (result,) = of(report, "sender.https.untrusted")
    assert result.outcome is Outcome.SKIP


@needs_openssl
async def test_a_sender_that_breaks_the_handshake_off_refuses_the_certificate():
    async with behind() as api:
        report = await check(api, ("sender.https.untrusted",))
    (result,) = of(report, "sender.https.untrusted")
    assert result.outcome is Outcome.PASS
    assert {report.trace[number].role.value for number in result.exchanges} >= {"handshake"}
