"""The bare sender: a loop that signs prepared messages, posts them, and does nothing else.

`python bare_sender.py URL SECRET MESSAGES CONCURRENCY`
"""

import asyncio
import hmac
import sys
import time

import aiohttp

try:
    import uvloop as loop
except ImportError:
    loop = asyncio

from benchmarks.sender import body


async def main(url: str, secret: bytes, messages: int, concurrency: int) -> None:
    bodies = iter([body(number) for number in range(messages)])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for content in bodies:
                stamp = str(int(time.time()))
                mac = hmac.digest(secret, stamp.encode() + b":" + content, "sha256").hex()
                headers = {
                    "Content-Type": "application/json",
                    "X-Webhook-Timestamp": stamp,
                    "X-Webhook-Signature": mac,
                }
                async with session.post(
                    url, data=content, headers=headers, allow_redirects=False
                ) as answer:
                    await answer.read()
                    assert answer.status == 200

        begin, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        spent = time.process_time() - cpu
        print(messages / (time.perf_counter() - begin), messages / spent, flush=True)


if __name__ == "__main__":
    loop.run(main(sys.argv[1], sys.argv[2].encode(), int(sys.argv[3]), int(sys.argv[4])))
