"""Configuration clients that others have published for this protocol, abridged, against our API.

Each gets its own form of base URL, and knows nothing of Hookproof.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from typing import Any

import pytest
import requests

from conformance.protocol.dialect import Secret
from conformance.sender.app import Settings
from tests.patience import PATIENCE
from tests.sender.parts import QUICK, SECRET, URL, api, emit, endpoint, ids, openssl, status

KEY = "wx_live_key"


class Tool:
    """A command-line tool: names in camelCase, the key in the query, `code` 0 for success."""

    def __init__(self, base: str) -> None:
        self._base = base  # http://HOST:PORT/v1

    def configure(self, hook: str, types: str = "1,3,34,43,47,49") -> bool:
        response = requests.post(
            self._url("Config"),
            json={
                "url": hook,
                "secret": SECRET,
                "enabled": True,
                "timeout": 10,
                "retryCount": 3,
                "messageTypes": types.split(",") if types else [],
                "includeSelfMessage": True,
            },
            timeout=PATIENCE,
        )
        response.raise_for_status()
        return bool(response.json().get("code") == 0)

    def status(self) -> str:
        data = self._data("Status")
        last = time.localtime(data.get("lastSendTime", 0))
        return "\n".join(
            [
                f"URL: {data.get('url')}",
                f"enabled: {'yes' if data.get('enabled') else 'no'}",
                f"timeout: {data.get('timeout')} s, retries: {data.get('retryCount')}",
                f"types: {', '.join(data.get('messageTypes', []))}",
                f"own messages: {'yes' if data.get('includeSelfMessage') else 'no'}",
                f"last: {time.strftime('%Y', last)}, {'ok' if data.get('lastSendStatus') else 'no'}",
                f"sent: {data.get('totalSent', 0)}, failed: {data.get('totalFailed', 0)}",
            ]
        )

    def test(self) -> str:
        data = self._data("Test")
        if data.get("Success", False):
            return f"ok in {data.get('Elapsed', 0)} ms"
        return f"failed: {data.get('Message', '')}"

    def _data(self, name: str) -> Any:
        response = requests.get(self._url(name), timeout=PATIENCE)
        response.raise_for_status()
        answer = response.json()
        assert answer.get("code") == 0
        return answer.get("data", {})

    def _url(self, name: str) -> str:
        return f"{self._base}/webhook/{name}?key={KEY}"


async def test_a_command_line_tool_configures_tests_and_asks() -> None:
    with endpoint() as hook:
        async with api() as base:
            tool = Tool(base.removesuffix("/webhook"))
            assert await asyncio.to_thread(tool.configure, hook.url)
            assert (await asyncio.to_thread(tool.test)).startswith("ok in ")
            assert (await asyncio.to_thread(tool.status)).splitlines() == [
                f"URL: {hook.url}",
                "enabled: yes",
                "timeout: 10 s, retries: 3",
                "types: 1, 3, 34, 43, 47, 49",
                "own messages: yes",
                f"last: {time.strftime('%Y')}, ok",
                "sent: 0, failed: 0",
            ]
            (request,) = hook.requests
            assert request.headers["x-webhook-signature"] == openssl(request, SECRET)


async def test_it_asks_before_anything_was_sent() -> None:
    async with api() as base:
        tool = Tool(base.removesuffix("/webhook"))
        assert await asyncio.to_thread(tool.configure, URL)
        assert "last: 1970, no" in await asyncio.to_thread(tool.status)


async def test_its_test_reports_what_went_wrong() -> None:
    with endpoint(status(401)) as hook:
        async with api() as base:
            tool = Tool(base.removesuffix("/webhook"))
            await asyncio.to_thread(tool.configure, hook.url)
            response = await asyncio.to_thread(tool.test)
            assert response.startswith(
                "failed: the endpoint answered 401: it refuses the signature"
            )


async def test_its_empty_list_of_types_is_all_types() -> None:
    with endpoint() as hook:
        async with api() as base:
            tool = Tool(base.removesuffix("/webhook"))
            await asyncio.to_thread(tool.configure, hook.url, "")
            await emit(base, "1", msgType=10002)
            await hook.arrived(1)
            assert ids(hook) == ["1"]


async def test_its_key_is_the_api_key() -> None:
    async with api(Settings(pace=QUICK, api_key=Secret(KEY.encode()))) as base:
        tool = Tool(base.removesuffix("/webhook"))
        assert await asyncio.to_thread(tool.configure, URL)


class Plugin:
    """A chat bot's plugin: it gets only the server's address, tries two paths, takes several signs
    for success, and looks for the reason under several names."""

    def __init__(self, base: str) -> None:
        self._base = base  # http://HOST:PORT

    def register(self, hook: str, **settings: object) -> None:
        fault = "nothing answered"
        for path in ("/webhook/Config", "/v1/webhook/Config"):
            response = requests.post(
                self._base + path,
                params={"key": KEY, "authcode": KEY},
                headers={"Authorization": f"Bearer {KEY}"},
                json={"url": hook, "secret": SECRET, "enabled": True} | settings,
                timeout=PATIENCE,
            )
            answer = response.json()
            if response.ok and (answer["code"] in (0, 200) or answer.get("success") is True):
                return
            fault = answer.get("message") or answer.get("msg") or f"HTTP {response.status_code}"
        raise RuntimeError(fault)


async def test_a_plugin_that_tries_two_paths_registers() -> None:
    with endpoint() as hook:
        async with api(Settings(pace=QUICK, api_key=Secret(KEY.encode()))) as base:
            plugin = Plugin(base.removesuffix("/v1/webhook"))
            await asyncio.to_thread(plugin.register, hook.url, messageTypes=["1"])
            response = await asyncio.to_thread(
                requests.get, f"{base}/Test", {"key": KEY}, timeout=PATIENCE
            )
            assert response.json()["data"]["Success"] is True
            assert len(hook.requests) == 1


async def test_a_plugin_learns_which_field_is_wrong() -> None:
    async with api() as base:
        plugin = Plugin(base.removesuffix("/v1/webhook"))
        with pytest.raises(RuntimeError, match="Timeout must be at most 30, not 60"):
            await asyncio.to_thread(plugin.register, URL, timeout=PATIENCE)


SCRIPT = """
curl -sS -X POST "$1/webhook/Config?key=$2" -H 'Content-Type: application/json' -d '{
  "URL": "http://127.0.0.1:9/hook", "Enabled": true, "IncludeSelfMessage": false,
  "MessageTypes": ["1"], "RetryCount": 3, "Timeout": 5, "Secret": "a lighthouse",
  "UseDirectStream": true, "UseRedisSync": false, "IndependentMode": true}'
curl -sS "$1/webhook/List"
"""


async def test_a_shell_script_with_settings_of_another_service_configures() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    async with api() as base:
        command = ["sh", "-c", SCRIPT, "sh", base.removesuffix("/webhook"), "key"]
        printed = await asyncio.to_thread(subprocess.check_output, command, text=True)
        created, listed = map(json.loads, printed.replace("}{", "}\n{").splitlines())
        assert (created["code"], created["data"]["ID"]) == (0, 1)
        assert [each["Timeout"] for each in listed["data"]] == [5]


def update(base: str) -> Any:
    """Acts as a settings page: reads the list, changes one field, and sends everything back."""
    (mine,) = requests.get(f"{base}/List", timeout=PATIENCE).json()["data"]
    requests.put(
        f"{base}/Update", json=mine | {"RetryCount": 7}, timeout=PATIENCE
    ).raise_for_status()
    return requests.get(f"{base}/List", timeout=PATIENCE).json()["data"]


async def test_a_page_sends_back_what_it_read() -> None:
    async with api() as base:
        tool = Tool(base.removesuffix("/webhook"))
        await asyncio.to_thread(tool.configure, URL)
        (mine,) = await asyncio.to_thread(update, base)
        assert (mine["URL"], mine["RetryCount"], mine["IncludeSelfMessage"]) == (URL, 7, True)
