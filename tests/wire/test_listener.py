"""The raw listener, on connections that a test plays."""

from __future__ import annotations

import asyncio

from conformance.model.clock import Clock
from conformance.wire.listener import Arrival, Connection, Listener, Taker


class Gone(asyncio.Transport):
    """A transport whose peer has left."""

    def is_closing(self) -> bool:
        return True


async def test_a_request_of_a_sender_that_leaves_at_once_is_handed_over() -> None:
    taken = asyncio.Queue[bytes]()

    async def take(arrival: Arrival) -> bool:
        taken.put_nowait(arrival.request.body)
        return False

    connection = Connection(Listener(Taker(take, lambda arrival, surplus: None, 10), Clock()))
    connection.connection_made(Gone())
    # Under TLS the data and the end of a connection may come in one step of the loop.
    connection.data_received(b"POST / HTTP/1.1\r\nHost: mock\r\nContent-Length: 2\r\n\r\n{}")
    connection.eof_received()
    async with asyncio.timeout(1):
        assert await taken.get() == b"{}"
