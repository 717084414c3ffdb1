"""Senders whose configuration API says one thing and does another. Rules: sender.config.*, sender.https.*"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp

from conformance.gallery.senders.peer import FaultySender, msg_id, sending, testing
from conformance.model.errors import InputError
from conformance.protocol import configuration as config
from conformance.protocol.configuration import Configuration, named
from conformance.protocol.dialect import Secret
from conformance.sender import behaviour as behaviour
from conformance.sender.app import Settings
from conformance.sender.attempt import Answer, AttemptReply, Outgoing, exchange
from conformance.sender.behaviour import SenderBehaviour


def _in_milliseconds(configuration: Configuration) -> dict[str, Any]:
    fields = configuration.shown()
    return fields | {"Timeout": fields["Timeout"] * 1000}


def _with_secret(configuration: Configuration) -> dict[str, Any]:
    """The record as it is stored."""
    return configuration.shown() | {"Secret": configuration.secret.decode()}


def _unread(given: object, base: Configuration | None) -> Configuration:
    """Answers success and stores nothing."""
    configuration = config.read(given, base)
    return configuration if base is None else base


def _left_out_is_reset(given: object, base: Configuration | None) -> Configuration:
    """A struct whose zero values, here the defaults, overwrite what the request leaves out."""
    return config.read(given, base and Configuration(base.url, base.secret))


def _number(value: object, default: int) -> int:
    return int(value) if isinstance(value, int | float) else default


def _converted(given: object, base: Configuration | None) -> Configuration:
    """Converts what it gets to what it needs, and so finds nothing wrong."""
    fields = named(given) if isinstance(given, dict) else {}
    types = fields.get("MessageTypes", ["*"])
    return Configuration(
        url=str(fields.get("URL") or ""),
        secret=Secret(str(fields.get("Secret") or "").encode()),
        enabled=bool(fields.get("Enabled", True)),
        timeout=_number(fields.get("Timeout"), 10),
        retry_count=_number(fields.get("RetryCount"), 3),
        message_types=tuple(map(str, types if isinstance(types, list) else [types])),
        include_self_message=bool(fields.get("IncludeSelfMessage")),
    )


def _anything() -> tuple[SenderBehaviour, set[Configuration]]:
    """Invalid configurations are stored, and among those that are given back. They get no messages."""
    invalid: set[Configuration] = set()

    def read(given: object, base: Configuration | None) -> Configuration:
        try:
            return config.read(given, base)
        except InputError:
            invalid.add(stored := _converted(given, base))
            return stored

    def recipients(configurations: Mapping[int, Configuration], message: Any) -> list[int]:
        valid = {i: each for i, each in configurations.items() if each not in invalid}
        return behaviour.recipients(valid, message)

    return SenderBehaviour(read=read, recipients=recipients), invalid


def _stored_first() -> SenderBehaviour:
    """The answer says what is wrong, and comes too late."""
    anything, invalid = _anything()
    told: set[Configuration] = set()

    def shown(configuration: Configuration) -> dict[str, Any]:
        if configuration in invalid - told:
            told.add(configuration)
            raise InputError("the configuration is not valid")
        return configuration.shown()

    return replace(anything, public_fields=shown)


def _success_told(ids: set[str]) -> SenderBehaviour:
    """Success without having sent anything."""

    async def exchanged(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        return Answer(200) if msg_id(request.body) in ids else await exchange(session, request)

    return SenderBehaviour(exchange=exchanged)


def _success_foretold(ids: set[str]) -> SenderBehaviour:
    """The test goes into a queue, and whoever asked is told that it went well."""
    under_way: set[asyncio.Task[Answer]] = set()

    async def exchanged(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        if msg_id(request.body) not in ids:
            return await exchange(session, request)
        task = asyncio.create_task(exchange(session, request))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return Answer(200)

    return SenderBehaviour(exchange=exchanged)


def _in_a_word(reply: AttemptReply) -> str:
    return "failed" if reply.problem else "success"


def _plainly(request: Outgoing) -> Outgoing:
    """The scheme is lost where the URL is put together again."""
    return replace(request, url=request.url.with_scheme("http"))


def _trusting_everyone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.config.{name}" for name in names)


CONFIG = (
    FaultySender(
        "lists-milliseconds",
        "lists the Timeout in milliseconds",
        _rule("create-list", "update"),
        SenderBehaviour(public_fields=_in_milliseconds),
    ),
    FaultySender(
        "accepts-anything",
        "accepts whatever it is given as a configuration",
        _rule("invalid"),
        lambda: _anything()[0],
    ),
    FaultySender(
        "validates-too-late",
        "refuses an invalid configuration that it has stored by then",
        _rule("invalid"),
        _stored_first,
    ),
    FaultySender(
        "update-ignored",
        "answers Update with success, and changes nothing",
        _rule("update"),
        SenderBehaviour(read=_unread),
    ),
    FaultySender(
        "update-resets",
        "sets what an Update leaves out to its default",
        _rule("update[keeps]"),
        SenderBehaviour(read=_left_out_is_reset),
    ),
    FaultySender(
        "secret-listed",
        "lists the secrets",
        _rule("secret-hidden"),
        SenderBehaviour(public_fields=_with_secret),
    ),
    FaultySender(
        "test-sends-nothing",
        "answers Test with success, and sends nothing",
        _rule("test"),
        partial(testing, _success_told),
    ),
    FaultySender(
        "test-always-succeeds",
        "answers Test with success before it knows",
        _rule("test[SHOULD]"),
        partial(testing, _success_foretold),
    ),
    FaultySender(
        "test-says-failed",
        "says of a Test that failed nothing but that",
        _rule("test[told-apart]"),
        SenderBehaviour(verdict=_in_a_word),
    ),
    FaultySender(
        "https-as-http",
        "speaks plain HTTP to an https URL",
        ("sender.https.delivers",),
        sending(_plainly),
    ),
    FaultySender(
        "certificates-unchecked",
        "does not verify certificates",
        ("sender.https.untrusted",),
        settings=Settings(tls=_trusting_everyone()),
    ),
)
