"""Between Locust's process and the one that judges: the settings at the beginning, the ledgers at the end.

The judging process (`hookproof judge-load`) gets both on its standard input, and reports over a pipe that the
load may begin. It prints the report on the standard output that it shares with Locust.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import msgpack

from conformance.load.ledger import Ledger
from conformance.load.side import Recorded

READY = b"\n"


def read_options() -> tuple[str, dict[str, Any]]:
    """The host and Locust's options, from the first line of standard input."""
    host, options = json.loads(sys.stdin.buffer.readline())
    return host, options


async def generate(ready: int) -> Recorded | None:
    """Report over the pipe `ready` that the load may begin, and wait for what it leaves behind."""
    os.write(ready, READY)
    os.close(ready)
    data = await asyncio.to_thread(sys.stdin.buffer.read)
    if not data:
        return None
    recorded = msgpack.unpackb(data, strict_map_key=False)
    ledgers = [Ledger.unpack(packed) for packed in recorded.pop("ledgers")]
    return Recorded(ledgers=ledgers, **recorded)
