"""Senders whose configuration API is wrong, or whose HTTPS is.

Rules: sender.config.*, sender.https.*
"""

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
from conformance.protocol.configuration import Configuration, known_fields
from conformance.protocol.dialect import Secret
from conformance.sender import behaviour
from conformance.sender.app import Settings
from conformance.sender.attempt import Answer, AttemptReply, Outgoing, exchange
from conformance.sender.behaviour import SenderBehaviour


def _show_milliseconds(configuration: Configuration) -> dict[str, Any]:
    fields = configuration.public_fields()
    return fields | {"Timeout": fields["Timeout"] * 1000}


def _show_secret(configuration: Configuration) -> dict[str, Any]:
    """Shows the record as it is stored."""
    return configuration.public_fields() | {"Secret": configuration.secret.decode()}


def _store_nothing(body: object, base: Configuration | None) -> Configuration:
    """Validates the request and stores nothing."""
    configuration = config.read(body, base)
    return configuration if base is None else base


def _reset_absent_fields(body: object, base: Configuration | None) -> Configuration:
    """A struct whose zero values (here the defaults) overwrite the fields that the request omits."""
    return config.read(body, base and Configuration(base.url, base.secret))


def _number(value: object, default: int) -> int:
    return int(value) if isinstance(value, int | float) else default


def _convert(body: object, base: Configuration | None) -> Configuration:
    """Converts every field to the type it needs, and so never finds an error."""
    fields = known_fields(body) if isinstance(body, dict) else {}
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


def _accept_anything() -> tuple[SenderBehaviour, set[Configuration]]:
    """Stores invalid configurations too, and returns the set of them. They get no messages."""
    invalid: set[Configuration] = set()

    def read(body: object, base: Configuration | None) -> Configuration:
        try:
            return config.read(body, base)
        except InputError:
            invalid.add(configuration := _convert(body, base))
            return configuration

    def recipients(configurations: Mapping[int, Configuration], message: Any) -> list[int]:
        valid = {key: entry for key, entry in configurations.items() if entry not in invalid}
        return behaviour.recipients(valid, message)

    return SenderBehaviour(read=read, recipients=recipients), invalid


def _store_first() -> SenderBehaviour:
    """Reports the error only after it has stored the configuration."""
    accepting, invalid = _accept_anything()
    reported: set[Configuration] = set()

    def shown(configuration: Configuration) -> dict[str, Any]:
        if configuration in invalid - reported:
            reported.add(configuration)
            raise InputError("the configuration is not valid")
        return configuration.public_fields()

    return replace(accepting, public_fields=shown)


def _report_success(ids: set[str]) -> SenderBehaviour:
    """Reports success without sending anything."""

    async def exchanged(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        return Answer(200) if msg_id(request.body) in ids else await exchange(session, request)

    return SenderBehaviour(exchange=exchanged)


def _report_success_early(ids: set[str]) -> SenderBehaviour:
    """Puts the test into a queue and reports success at once."""
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


def _report_in_a_word(reply: AttemptReply) -> str:
    return "failed" if reply.problem else "success"


def _use_plain_http(request: Outgoing) -> Outgoing:
    """Loses the scheme when it reassembles the URL."""
    return replace(request, url=request.url.with_scheme("http"))


def _trust_any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.config.{name}" for name in names)


CONFIG = (
    FaultySender(
        "lists-milliseconds",
        "lists Timeout in milliseconds",
        _rule("create-list", "update"),
        SenderBehaviour(public_fields=_show_milliseconds),
    ),
    FaultySender(
        "accepts-anything",
        "accepts an invalid configuration",
        _rule("invalid"),
        lambda: _accept_anything()[0],
    ),
    FaultySender(
        "validates-too-late",
        "stores an invalid configuration before it refuses it",
        _rule("invalid"),
        _store_first,
    ),
    FaultySender(
        "update-ignored",
        "answers Update with success but changes nothing",
        _rule("update"),
        SenderBehaviour(read=_store_nothing),
    ),
    FaultySender(
        "update-resets",
        "resets the fields that an Update leaves out to their defaults",
        _rule("update[keeps]"),
        SenderBehaviour(read=_reset_absent_fields),
    ),
    FaultySender(
        "secret-listed",
        "lists the secret",
        _rule("secret-hidden"),
        SenderBehaviour(public_fields=_show_secret),
    ),
    FaultySender(
        "test-sends-nothing",
        "answers Test with success but sends nothing",
        _rule("test"),
        partial(testing, _report_success),
    ),
    FaultySender(
        "test-always-succeeds",
        "answers Test with success before it has the result",
        _rule("test[SHOULD]"),
        partial(testing, _report_success_early),
    ),
    FaultySender(
        "test-says-failed",
        "does not say why a Test failed",
        _rule("test[distinguishes-failures]"),
        SenderBehaviour(verdict=_report_in_a_word),
    ),
    FaultySender(
        "https-as-http",
        "uses plain HTTP for an https URL",
        ("sender.https.delivers",),
        sending(_use_plain_http),
    ),
    FaultySender(
        "certificates-unchecked",
        "does not verify certificates",
        ("sender.https.untrusted",),
        settings=Settings(tls=_trust_any_certificate()),
    ),
)
