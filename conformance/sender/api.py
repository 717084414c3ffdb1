"""The sender's API: its configurations, the events to deliver, and the state of their deliveries.

Every answer is {"code": 0, "message": "success", "data": …}; an error has its HTTP status as the code
and a message that says what is wrong. Field names match in any case. Guide: 配置步驟.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from conformance.model.errors import InputError
from conformance.protocol.configuration import Configuration, known_fields
from conformance.protocol.delivery import State
from conformance.protocol.dialect import Secret
from conformance.protocol.encodings import compact
from conformance.sender.behaviour import CORRECT, SenderBehaviour
from conformance.sender.queue import Entry
from conformance.sender.request import Refusal, identifier, json_body, parameter
from conformance.sender.store import Store
from conformance.sender.worker import Deliveries
from conformance.storage.commits import NotStoredError

BASE = "/v1/webhook"

LARGEST, LARGEST_EMIT = 64 * 1024, 16 * 1024 * 1024
"""The most bytes of a request's body. Messages carry Base64 media (訊息類型說明), the rest is small."""

DEFAULT_LIMIT, LARGEST_LIMIT = 100, 1000
"""Of `?limit=` in a list of deliveries."""
TESTS = 16
"""The most test messages in flight."""
_PORTION = 32  # events that are validated before other tasks get a turn

_LOG = logging.getLogger("hookproof.sender")


class Api:
    """The handlers. With an `api_key`, every call must carry it as `?key=`."""

    def __init__(
        self,
        store: Store,
        deliveries: Deliveries,
        api_key: Secret | None,
        behaviour: SenderBehaviour = CORRECT,
    ) -> None:
        self._store = store
        self._registry = store.registry
        self._queue = store.queue
        self._deliveries = deliveries
        self._api_key = api_key
        self._behaviour = behaviour
        self._configuring = asyncio.Lock()
        self._testing = asyncio.Semaphore(TESTS)
        self._calls: dict[str, tuple[str, Callable[[web.Request], Awaitable[Any]]]] = {
            "config": ("POST", self._config),
            "list": ("GET", self._list),
            "status": ("GET", self._status),
            "test": ("GET", self._test),
            "update": ("PUT", self._update),
            "delete": ("DELETE", self._delete),
            "emit": ("POST", self._emit),
            "deliveries": ("GET", self._list_deliveries),
            "redeliver": ("POST", self._redeliver),
        }

    def application(self) -> web.Application:
        """An application in which every path reaches `answer`, so that a wrong one gets an answer of
        the same form."""
        app = web.Application(client_max_size=LARGEST_EMIT)
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one call. An internal fault is reported as such, without its details."""
        try:
            data = await self._call(request)
        except InputError as fault:
            return _answer(400, str(fault))
        except Refusal as refusal:
            return _answer(refusal.status, str(refusal))
        except NotStoredError as fault:
            _LOG.error("a request could not be stored: %s", fault)
            return _answer(503, "it could not be stored: send it again")
        except Exception:
            _LOG.exception("a call of the API failed")
            return _answer(500, "internal error")
        return _answer(202 if request.path.lower().endswith("/emit") else 200, "success", data)

    async def _call(self, request: web.Request) -> Any:
        if self._api_key is not None:
            key = request.query.get("key", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(key, self._api_key):
                raise Refusal(401, "the API key must be sent as ?key=")
        base, _, name = request.path.rpartition("/")
        if base != BASE or name.lower() not in self._calls:
            raise Refusal(
                404, f"there is no {request.path}: the API is {BASE}/Config, List, Status, …"
            )
        method, call = self._calls[name.lower()]
        if request.method != method:
            raise Refusal(405, f"{name} is called by {method}")
        return await call(request)

    async def _config(self, request: web.Request) -> Any:
        body = await json_body(request, LARGEST)
        async with self._configuring:
            url = known_fields(body).get("URL") if isinstance(body, dict) else None
            ident = self._registry.by_url(url)
            if ident is None:
                configuration = self._behaviour.read(body, None)
                ident = await self._registry.create(configuration)
            else:
                # This replaces the whole configuration, but leaving out the secret keeps it.
                current = self._registry.configurations[ident]
                defaults = Configuration(current.url, current.secret)
                configuration = self._behaviour.read(body, defaults)
                await self._registry.change(ident, configuration)
            self._deliveries.put(ident, configuration)
        return {"ID": ident} | self._behaviour.public_fields(configuration)

    async def _update(self, request: web.Request) -> Any:
        body = await json_body(request, LARGEST)
        if not isinstance(body, dict):
            raise InputError("the body must be an object with the fields to change")
        async with self._configuring:
            ident = self._resolve(body, request)
            configuration = self._behaviour.read(body, self._registry.configurations[ident])
            if self._registry.by_url(configuration.url) not in (ident, None):
                raise Refusal(409, "URL is another configuration's: update or delete that one")
            await self._registry.change(ident, configuration)
            self._deliveries.put(ident, configuration)
        return {"ID": ident} | self._behaviour.public_fields(configuration)

    async def _delete(self, request: web.Request) -> Any:
        async with self._configuring:
            ident = self._require(identifier(parameter(request, "id")))
            configuration = self._registry.configurations[ident]
            await self._deliveries.remove(ident)
            try:
                await self._store.delete(ident)
            except NotStoredError:
                self._deliveries.put(ident, configuration)
                raise
        return {"ID": ident}

    async def _list(self, request: web.Request) -> Any:
        return [
            {"ID": ident} | self._behaviour.public_fields(configuration)
            for ident, configuration in self._registry.configurations.items()
        ]

    async def _status(self, request: web.Request) -> Any:
        entries = [self._status_entry(*item) for item in self._registry.configurations.items()]
        return (entries[0] if entries else {}) | {"configurations": entries}

    def _status_entry(self, ident: int, configuration: Configuration) -> dict[str, Any]:
        record = self._registry.record(ident)
        return {
            "id": ident,
            "url": configuration.url,
            "enabled": configuration.enabled,
            "timeout": configuration.timeout,
            "retryCount": configuration.retry_count,
            "messageTypes": list(configuration.message_types),
            "includeSelfMessage": configuration.include_self_message,
            "lastSendTime": int(record.last_time),
            "lastSendStatus": record.last_success,
            "totalSent": record.sent,
            "totalFailed": record.failed,
        }

    async def _test(self, request: web.Request) -> Any:
        one = parameter(request, "id")
        if one is not None:
            return await self._send_test(self._require(identifier(one)))
        configurations = self._registry.configurations
        idents = [ident for ident in self._registry.newest() if configurations[ident].enabled]
        if not idents:
            raise Refusal(404, f"no configuration is enabled: POST one to {BASE}/Config")
        results = await asyncio.gather(*(self._send_test(ident) for ident in idents))
        return results[0] | {"Results": results}

    async def _send_test(self, ident: int) -> dict[str, Any]:
        configuration = self._registry.configurations[ident]
        async with self._testing:
            now = self._deliveries.clock.now()
            body = compact(self._behaviour.test(now))
            reply = await self._deliveries.post(configuration, body, now)
            ended, success = self._deliveries.clock.now(), reply.problem is None
            await self._registry.record_test(ident, ended, success=success)
        return {
            "ID": ident,
            "URL": configuration.url,
            "Success": success,
            "Status": reply.status,
            "Message": self._behaviour.verdict(reply),
            "Elapsed": round(reply.elapsed * 1000, 1),
        }

    async def _emit(self, request: web.Request) -> Any:
        body = await json_body(request, LARGEST_EMIT)
        events = []
        for event in self._behaviour.events(body):
            events.append(event)
            if len(events) % _PORTION == 0:
                await asyncio.sleep(0)
        for ident in await self._store.accept(events, self._deliveries.clock.now()):
            self._deliveries.wake(ident)
        return {"accepted": len(events)}

    async def _list_deliveries(self, request: web.Request) -> Any:
        states = {state.value: state for state in (State.WAITING, State.DELIVERED, State.FAILED)}
        status = parameter(request, "status")
        limit = parameter(request, "limit") or str(DEFAULT_LIMIT)
        if status is not None and status.lower() not in states:
            raise InputError("status must be one of {states}", states=", ".join(states))
        if not limit.isdecimal() or not 1 <= int(limit[:9]) <= LARGEST_LIMIT:
            raise InputError("limit must be a number from 1 to {limit}", limit=LARGEST_LIMIT)
        if status is None:
            entries = self._queue.newest(int(limit))
        else:
            entries = self._queue.listed(
                states[status.lower()], list(self._registry.configurations), int(limit)
            )
        return [_entry_fields(entry) for entry in entries]

    async def _redeliver(self, request: web.Request) -> Any:
        body = await json_body(request, LARGEST, empty={})
        if not isinstance(body, dict):
            raise InputError("the body must be an object with id or msgId, or empty for all")
        fields = {name.lower(): value for name, value in {**request.query, **body}.items()}
        delivery, msg_id = fields.get("id"), fields.get("msgid")
        if msg_id is not None and not isinstance(msg_id, str):
            raise InputError("msgId must be a string")
        number = None if delivery is None else identifier(delivery)
        count = await self._redeliver_matching(number, msg_id)
        if not count and (delivery, msg_id) != (None, None):
            raise Refusal(404, "there is no failed delivery with that id or msgId")
        for ident in self._registry.configurations:
            self._deliveries.wake(ident)
        return {"count": count}

    async def _redeliver_matching(self, delivery: int | None, msg_id: str | None) -> int:
        """Redeliver by id, else by message, else everything that failed; how many deliveries."""
        now = self._deliveries.clock.now()
        if delivery is not None:
            return await self._queue.redeliver(delivery, now)
        if msg_id is not None:
            return await self._queue.redeliver_message(msg_id, now)
        idents = list(self._registry.configurations)
        return sum([await self._queue.redeliver_all(ident, now) for ident in idents])

    def _require(self, ident: int) -> int:
        """`ident`, if there is a configuration with it. Raises Refusal."""
        if ident not in self._registry.configurations:
            raise Refusal(404, f"there is no configuration with the ID {ident}: List shows them")
        return ident

    def _resolve(self, body: Mapping[str, object], request: web.Request) -> int:
        """The configuration to change: by ID, else by URL, else the only one. Raises Refusal."""
        ids = [value for name, value in body.items() if name.lower() == "id"]
        ident = ids[-1] if ids else parameter(request, "id")
        if ident is not None:
            return self._require(identifier(ident))
        by_url = self._registry.by_url(known_fields(body).get("URL"))
        if by_url is not None:
            return by_url
        if len(self._registry.configurations) != 1:
            raise Refusal(404, "give the ID of the configuration to change: List shows them")
        return next(iter(self._registry.configurations))


def _answer(status: int, message: str, data: Any = None) -> web.Response:
    code = 0 if status < 400 else status
    return web.json_response({"code": code, "message": message, "data": data}, status=status)


def _entry_fields(entry: Entry) -> dict[str, Any]:
    waiting = entry.state is State.WAITING
    return {
        "id": entry.id,
        "msgId": entry.msg_id,
        "configuration": entry.configuration,
        "status": entry.state.value,
        "attempts": entry.attempts,
        "lastStatus": entry.status,
        "lastError": entry.problem,
        "lastSendTime": entry.ended,
        "nextSendTime": entry.due if waiting else None,
    }
