"""What docs/reading-a-report.md prints holds: requests run, faults and figures are those of the code."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from conformance.live import feed
from conformance.live.page import LivePage
from conformance.live.translations import FAULTS
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.protocol.validation import validator
from conformance.receiver.app import Settings, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.reporting.html.evidence import ROOM
from conformance.scenario.dialects import load
from conformance.storage.database import MEMORY
from tests.places import ROOT

TEXT = (ROOT / "docs/reading-a-report.md").read_text(encoding="utf-8")


async def test_the_printed_requests_script_the_answers_and_forget_them() -> None:
    (block,) = [
        each for each in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.M | re.S) if "curl" in each
    ]
    first, second = re.split(r"\n(?=curl)", block.strip())
    signer = Signer(load("guide"), Secret(b"your_secret"))
    live = LivePage(signer, "127.0.0.1")
    async with (
        Inbox(MEMORY) as inbox,
        serving(ReceiverBehaviour(), inbox, signer, Settings(follower=live)) as base,
    ):

        async def run(line: str) -> Any:
            shell = await asyncio.create_subprocess_exec(
                "sh", "-c", line.replace("http://127.0.0.1:5000", base), stdout=-1
            )
            said, _ = await shell.communicate()
            return json.loads(said)

        assert await run(first) == {"waiting": 5}
        assert await run(second) == {"waiting": 0}


def test_the_printed_faults_are_those_that_there_are() -> None:
    faults = set(FAULTS) - {""}
    answer: Any = validator("answers").schema["$defs"]["answer"]  # type: ignore[index]
    assert set(answer["properties"]["fault"]["enum"]) == faults | {None}
    (sentence,) = re.findall(r"Faults are (.*?)\. ", TEXT, re.S)
    assert set(re.findall(r"`(\w+)`", sentence)) == faults


def test_the_printed_bounds_are_those_of_the_code() -> None:
    assert f"newest\n{feed.MOST:,}" in TEXT
    assert f"{feed.ROOM >> 20} MiB" in TEXT
    assert f"{ROOM // 1000} KB" in TEXT
