"""The page about the reference sender: its calls run in their order, and its tables are complete."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.protocol.validation import validator
from conformance.receiver.app import serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario.dialects import load
from conformance.sender.api import Api
from conformance.sender.store import Store
from conformance.storage.database import MEMORY
from tests.places import ROOT
from tests.sender.parts import api, deliveries

PAGE = ROOT / "docs" / "reference-sender.md"
TEXT = PAGE.read_text(encoding="utf-8")
RECEIVER, SENDER = "http://127.0.0.1:5000", "http://127.0.0.1:5001/v1/webhook"
CALLS = re.findall(r"^```sh\n(curl .*?)^```\n\n```json\n(.*?)^```$", TEXT, re.M | re.S)


def steady(value: Any) -> Any:
    """An answer without what is different in every run."""
    if isinstance(value, dict):
        varies = ("Elapsed", "lastSendTime")
        return {k: type(v) if k in varies else steady(v) for k, v in value.items()}
    return [steady(each) for each in value] if isinstance(value, list) else value


async def test_every_call_answers_as_printed() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    signer = Signer(load("guide"), Secret(b"your_secret_key"))
    async with (
        Inbox(MEMORY) as inbox,
        serving(ReceiverBehaviour(), inbox, signer) as receiver,
        api() as base,
    ):
        for code, printed in CALLS:
            command = code.replace(SENDER, base).replace(RECEIVER, receiver)
            said = await asyncio.to_thread(
                subprocess.check_output, ["sh", "-c", command], text=True
            )
            answer = json.loads(said.replace(receiver, RECEIVER))
            assert steady(answer) == steady(json.loads(printed)), code
            if "/Emit" in code:
                await deliveries(base, "delivered", 1)


def rows(title: str) -> list[list[str]]:
    """The rows of the table whose first column is `title`, cell by cell."""
    (table,) = re.findall(rf"(?m)^\| {title} \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_table_of_fields_is_the_schemas() -> None:
    schema: Any = validator("configuration").schema
    defaults = {name: each.get("default") for name, each in schema["properties"].items()}
    told = {name.strip("`"): default.strip("`") for name, _, default in rows("field")}
    assert told.pop("URL") == "an error"
    assert told.pop("Secret") == "the empty key"
    assert {name: json.loads(default) for name, default in told.items()} == {
        name: default for name, default in defaults.items() if name not in ("URL", "Secret")
    }


async def test_the_table_of_calls_is_the_apis() -> None:
    async with Store(MEMORY) as store:
        calls = Api(store, None, None)._calls  # type: ignore[arg-type]
    told = [row[0].strip("`").split() for row in rows("call")]
    assert {(method, name.lower()) for method, name in told} == {
        (method, name) for name, (method, _) in calls.items()
    }


def test_every_kind_of_call_is_shown() -> None:
    shown = {name for code, _ in CALLS for name in re.findall(r"/v1/webhook/(\w+)", code)}
    assert shown == {row[0].strip("`").split()[1] for row in rows("call")} - {"List"}
