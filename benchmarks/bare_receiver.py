"""The bare handler: reads the body and answers 200. Senders are measured against it as well.

`/count` answers with the number of deliveries so far.
"""

import asyncio

from aiohttp import web

try:
    import uvloop as loop
except ImportError:
    loop = asyncio

deliveries = 0


async def deliver(request: web.Request) -> web.Response:
    global deliveries
    await request.read()
    deliveries += 1
    return web.Response(body=b'{"status": "success"}', content_type="application/json")


async def count(request: web.Request) -> web.Response:
    return web.json_response(deliveries)


async def main() -> None:
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/webhook/receiver", deliver)
    app.router.add_get("/count", count)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print("http://{}:{}/webhook/receiver".format(*runner.addresses[0][:2]), flush=True)
    await asyncio.Event().wait()


loop.run(main())
