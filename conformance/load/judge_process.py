"""The process that judges a run, as Locust's process sees it. See `handover` for what they exchange."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import gevent.os
import msgpack
from gevent import subprocess

from conformance.load.ledger import Ledger


class JudgeProcess:
    """Judges one run against `host`, with Locust's parsed `options`."""

    def __init__(self, host: str, options: Mapping[str, Any]) -> None:
        self._ready, writing = os.pipe()
        command = [sys.executable, "-m", "conformance", "judge-load", f"--ready={writing}"]
        # In a session of its own: Ctrl-C ends the load first.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, pass_fds=[writing], start_new_session=True
        )
        os.close(writing)
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._input = self._process.stdin
        self._write(json.dumps([host, options]).encode() + b"\n")

    def is_ready(self) -> bool:
        """Wait for the preflight. Returns whether the load may begin."""
        ready = bool(gevent.os.tp_read(self._ready, 1))
        os.close(self._ready)
        return ready

    def conclude(self, ledgers: Sequence[Ledger], seconds: float, missing_workers: int) -> int:
        """Hand over what the load left behind, and wait for the report; returns the exit status."""
        packed = [ledger.pack() for ledger in ledgers]
        data = {"ledgers": packed, "seconds": seconds, "missing_workers": missing_workers}
        self._write(msgpack.packb(data))
        return self.status()

    def status(self) -> int:
        """Wait for the end; returns the exit status."""
        with suppress(BrokenPipeError):
            self._input.close()
        status: int = self._process.wait()
        return status if status >= 0 else 3

    def interrupt(self) -> None:
        """Let it judge by what is known so far."""
        self._process.send_signal(signal.SIGINT)

    def _write(self, data: bytes) -> None:
        with suppress(BrokenPipeError):  # it has ended already, and has printed why
            self._input.write(data)
            self._input.flush()
