"""The bare suite: a loop that sends the requests of a trace with aiohttp and does nothing else."""

import asyncio
import json
import sqlite3
import sys

import aiohttp
from yarl import URL

CONCURRENCY = 16


async def main(trace: str) -> None:
    with sqlite3.connect(trace) as store:
        rows = store.execute(
            "SELECT method, url, request_headers, request_body FROM whole ORDER BY started"
        ).fetchall()
    requests = iter(
        [
            (method, URL(url, encoded=True), json.loads(headers), body)
            for method, url, headers, body in rows
        ]
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for method, url, headers, body in requests:
                try:
                    async with session.request(
                        method, url, data=body, headers=headers, allow_redirects=False
                    ) as response:
                        await response.read()
                except (aiohttp.ClientError, ValueError):
                    pass  # aiohttp refuses to send some of the suite's broken requests

        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


try:
    import uvloop
except ImportError:
    asyncio.run(main(sys.argv[1]))
else:  # the suite uses uvloop if it is installed, so its baseline must as well
    uvloop.run(main(sys.argv[1]))
