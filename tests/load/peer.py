"""A fast receiver that knows nothing of Hookproof, with one fault on request.

`python tests/load/peer.py SECRET [FAULT [EVERY]]` prints its base URL. It loses or doubles one message
in EVERY, or is busy or slow at one request in EVERY. It keeps counts in memory, verifies signatures and
deduplicates, so that a load run can be hard on it.
"""

import asyncio
import hashlib
import hmac
import json
import sys
from collections import Counter

from aiohttp import web

try:
    import uvloop as loop
except ImportError:
    loop = asyncio

BUSY = 20
PREFLIGHT = 40
"""Requests that it serves well in any case."""
CROWD = 50
SLOW, WORK = 5.3, 0.02
SLOWER = 0.7


class Peer:
    def __init__(self, secret: bytes, fault: str, every: int) -> None:
        self.secret, self.fault, self.every = secret, fault, every
        self.effects: Counter[str] = Counter()
        self.accepted = self.repeats = self.concurrent = self.requests = 0

    def genuine(self, request: web.Request, body: bytes) -> bool:
        if self.fault == "forged-when-busy" and self.concurrent > BUSY:
            return True
        stamp = request.headers.get("X-Webhook-Timestamp", "").encode()
        right = hmac.digest(self.secret, stamp + b":" + body, hashlib.sha256).hex()
        return hmac.compare_digest(right, request.headers.get("X-Webhook-Signature", ""))

    def take(self, msg_id: str) -> None:
        if self.effects[msg_id]:
            self.repeats += 1
            if self.fault == "doubles" and self.repeats % self.every == 0:
                self.effects[msg_id] += 1
            return
        self.accepted += 1
        lost = self.fault == "loses" and self.accepted % self.every == 0
        self.effects[msg_id] = int(not lost)

    async def deliver(self, request: web.Request) -> web.Response:
        self.concurrent += 1
        try:
            body = await request.read()
            if self.fault == "forged-when-busy":
                await asyncio.sleep(WORK)
            if not self.genuine(request, body):
                return web.Response(status=401)
            self.requests += 1
            if self.requests > PREFLIGHT and self.requests % self.every == 0:
                if self.fault == "busy":
                    return web.Response(status=503)
                if self.fault == "slow":
                    await asyncio.sleep(SLOWER)
            self.take(json.loads(body)["msgId"])
            if self.fault == "slow-in-a-crowd":
                slow = self.concurrent > CROWD and self.accepted % 10 == 0
                await asyncio.sleep(SLOW if slow else WORK)
            return web.Response(body=b'{"status": "success"}')
        finally:
            self.concurrent -= 1

    async def processed(self, request: web.Request) -> web.Response:
        return web.json_response({"count": self.effects[request.query["msgId"]]})

    async def messages(self, request: web.Request) -> web.Response:
        """What really happened, for the test; Hookproof does not see it."""
        counts = self.effects
        return web.json_response(
            {
                "messages": self.accepted,
                "lost": [msg_id for msg_id in counts if not counts[msg_id]],
                "doubled": [msg_id for msg_id in counts if counts[msg_id] > 1],
            }
        )


async def main(secret: str, fault: str = "", every: str = "1") -> None:
    peer = Peer(secret.encode(), fault, int(every))
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/webhook/receiver", peer.deliver)
    app.router.add_get("/processed", peer.processed)
    app.router.add_get("/messages", peer.messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print("http://{}:{}".format(*runner.addresses[0][:2]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    loop.run(main(*sys.argv[1:]))
