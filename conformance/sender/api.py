"""The sender's API: configurations, events to deliver, and what became of them.

Every answer is {"code": 0, "message": "success", "data": …}; an error has its HTTP status as the code
and a message that says what is wrong. Field names are matched whatever their case. Guide: 配置步驟.
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
"""Bytes of a request's body: messages carry Base64 media (訊息類型說明), the rest is small."""

LISTED, MOST_LISTED = 100, 1000
TESTS = 16
"""Test messages in flight."""
_PORTION = 32  # events that are judged before others get their turn

_LOG = logging.getLogger("hookproof.sender")


class Api:
    """The handlers. `api_key`, if there is one, must come as `?key=` with every call."""

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
        self._practice = behaviour
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
            "deliveries": ("GET", self._listing),
            "redeliver": ("POST", self._redeliver),
        }

    def application(self) -> web.Application:
        """Everything reaches `answer`, so that a wrong path gets an answer of the same form."""
        app = web.Application(client_max_size=LARGEST_EMIT)
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one call. A fault inside is told as one, and never what it was."""
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
            given = request.query.get("key", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, self._api_key):
                raise Refusal(401, "the API key must be given as ?key=")
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
        given = await json_body(request, LARGEST)
        async with self._configuring:
            url = known_fields(given).get("URL") if isinstance(given, dict) else None
            ident = self._registry.by_url(url)
            if ident is None:
                configuration = self._practice.read(given, None)
                ident = await self._registry.create(configuration)
            else:
                # Said anew as a whole; but nobody means to lose the secret by not repeating it.
                known = self._registry.configurations[ident]
                configuration = self._practice.read(given, Configuration(known.url, known.secret))
                await self._registry.change(ident, configuration)
            self._deliveries.put(ident, configuration)
        return {"ID": ident} | self._practice.shown(configuration)

    async def _update(self, request: web.Request) -> Any:
        given = await json_body(request, LARGEST)
        if not isinstance(given, dict):
            raise InputError("the body must be an object with what is to be changed")
        async with self._configuring:
            ident = self._meant(given, request)
            configuration = self._practice.read(given, self._registry.configurations[ident])
            if self._registry.by_url(configuration.url) not in (ident, None):
                raise Refusal(409, "URL is another configuration's: update or delete that one")
            await self._registry.change(ident, configuration)
            self._deliveries.put(ident, configuration)
        return {"ID": ident} | self._practice.shown(configuration)

    async def _delete(self, request: web.Request) -> Any:
        async with self._configuring:
            ident = self._known(identifier(parameter(request, "id")))
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
            {"ID": ident} | self._practice.shown(each)
            for ident, each in self._registry.configurations.items()
        ]

    async def _status(self, request: web.Request) -> Any:
        all_of_them = [self._told(*each) for each in self._registry.configurations.items()]
        return (all_of_them[0] if all_of_them else {}) | {"configurations": all_of_them}

    def _told(self, ident: int, configuration: Configuration) -> dict[str, Any]:
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
        given = parameter(request, "id")
        if given is not None:
            return await self._tested(self._known(identifier(given)))
        configurations = self._registry.configurations
        idents = [ident for ident in self._registry.newest() if configurations[ident].enabled]
        if not idents:
            raise Refusal(404, f"no configuration is enabled: POST one to {BASE}/Config")
        results = await asyncio.gather(*(self._tested(ident) for ident in idents))
        return results[0] | {"Results": results}

    async def _tested(self, ident: int) -> dict[str, Any]:
        configuration = self._registry.configurations[ident]
        async with self._testing:
            now = self._deliveries.clock.now()
            body = compact(self._practice.test(now))
            reply = await self._deliveries.post(configuration, body, now)
            await self._registry.tested(ident, self._deliveries.clock.now(), reply.problem is None)
        return {
            "ID": ident,
            "URL": configuration.url,
            "Success": reply.problem is None,
            "Status": reply.status,
            "Message": self._practice.verdict(reply),
            "Elapsed": round(reply.elapsed * 1000, 1),
        }

    async def _emit(self, request: web.Request) -> Any:
        given = await json_body(request, LARGEST_EMIT)
        events = []
        for each in self._practice.events(given):
            events.append(each)
            if len(events) % _PORTION == 0:
                await asyncio.sleep(0)
        for ident in await self._store.accept(events, self._deliveries.clock.now()):
            self._deliveries.wake(ident)
        return {"accepted": len(events)}

    async def _listing(self, request: web.Request) -> Any:
        states = {state.value: state for state in (State.WAITING, State.DELIVERED, State.FAILED)}
        status, limit = parameter(request, "status"), parameter(request, "limit") or str(LISTED)
        if status is not None and status.lower() not in states:
            raise InputError(f"status must be one of {', '.join(states)}")
        if not limit.isdecimal() or not 1 <= int(limit[:9]) <= MOST_LISTED:
            raise InputError(f"limit must be a number from 1 to {MOST_LISTED}")
        if status is None:
            found = self._queue.newest(int(limit))
        else:
            found = self._queue.listed(
                states[status.lower()], list(self._registry.configurations), int(limit)
            )
        return [_listed(entry) for entry in found]

    async def _redeliver(self, request: web.Request) -> Any:
        given = await json_body(request, LARGEST, empty={})
        if not isinstance(given, dict):
            raise InputError("the body must be an object with id or msgId, or empty for all")
        fields = {name.lower(): value for name, value in {**request.query, **given}.items()}
        delivery, msg_id = fields.get("id"), fields.get("msgid")
        if msg_id is not None and not isinstance(msg_id, str):
            raise InputError("msgId must be a string")
        count = await self._redelivered(None if delivery is None else identifier(delivery), msg_id)
        if not count and (delivery, msg_id) != (None, None):
            raise Refusal(404, "there is no failed delivery of that id or msgId")
        for ident in self._registry.configurations:
            self._deliveries.wake(ident)
        return {"count": count}

    async def _redelivered(self, delivery: int | None, msg_id: str | None) -> int:
        now = self._deliveries.clock.now()
        if delivery is not None:
            return await self._queue.redeliver(delivery, now)
        if msg_id is not None:
            return await self._queue.redeliver_message(msg_id, now)
        idents = list(self._registry.configurations)
        return sum([await self._queue.redeliver_all(ident, now) for ident in idents])

    def _known(self, ident: int) -> int:
        if ident not in self._registry.configurations:
            raise Refusal(404, f"there is no configuration with the ID {ident}: List shows them")
        return ident

    def _meant(self, given: Mapping[str, object], request: web.Request) -> int:
        """The configuration to change: by ID, else by URL, else the only one."""
        ids = [value for name, value in given.items() if name.lower() == "id"]
        ident = ids[-1] if ids else parameter(request, "id")
        if ident is not None:
            return self._known(identifier(ident))
        by_url = self._registry.by_url(known_fields(given).get("URL"))
        if by_url is not None:
            return by_url
        if len(self._registry.configurations) != 1:
            raise Refusal(404, "give the ID of the configuration to change: List shows them")
        return next(iter(self._registry.configurations))


def _answer(status: int, message: str, data: Any = None) -> web.Response:
    code = 0 if status < 400 else status
    return web.json_response({"code": code, "message": message, "data": data}, status=status)


def _listed(entry: Entry) -> dict[str, Any]:
    waits = entry.state is State.WAITING
    return {
        "id": entry.id,
        "msgId": entry.msg_id,
        "configuration": entry.configuration,
        "status": entry.state.value,
        "attempts": entry.attempts,
        "lastStatus": entry.status,
        "lastError": entry.problem,
        "lastSendTime": entry.ended,
        "nextSendTime": entry.due if waits else None,
    }
