"""Senders whose configuration API is wrong, or whose HTTPS is.

Rules: sender.config.*, sender.https.*
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp

from conformance.gallery.peer import Faults
from conformance.gallery.senders.serve import HTTPS, SENDER
from conformance.gallery.senders.steps import msg_id, testing
from conformance.model.errors import InputError
from conformance.protocol import configuration as config
from conformance.protocol.configuration import Configuration, known_fields
from conformance.protocol.dialect import Secret
from conformance.sender import behaviour
from conformance.sender.app import Settings
from conformance.sender.attempt import Answer, AttemptReply, Outgoing, exchange
from conformance.sender.behaviour import SenderBehaviour

faulty = Faults("sender.config", SENDER)
over_https = Faults("sender.https", HTTPS)


@faulty("create-list", "update", step="public_fields")
def lists_milliseconds(configuration: Configuration) -> dict[str, Any]:
    """Lists Timeout in milliseconds."""
    fields = configuration.public_fields()
    return fields | {"Timeout": fields["Timeout"] * 1000}


@faulty("secret-hidden", step="public_fields")
def secret_listed(configuration: Configuration) -> dict[str, Any]:
    """Lists the secret.

    It shows the record as it is stored.
    """
    return configuration.public_fields() | {"Secret": configuration.secret.decode()}


@faulty("update", step="read")
def update_ignored(body: object, base: Configuration | None) -> Configuration:
    """Answers Update with success but changes nothing.

    It validates the request and stores nothing.
    """
    configuration = config.read(body, base)
    return configuration if base is None else base


@faulty("update[keeps]", step="read")
def update_resets(body: object, base: Configuration | None) -> Configuration:
    """Resets the fields that an Update leaves out to their defaults.

    A struct whose zero values (here the defaults) overwrite the fields that the request omits.
    """
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


def _accepting(invalid: set[Configuration]) -> SenderBehaviour:
    """Stores invalid configurations too, and adds them to `invalid`. They get no messages."""

    def read(body: object, base: Configuration | None) -> Configuration:
        try:
            return config.read(body, base)
        except InputError:
            invalid.add(configuration := _convert(body, base))
            return configuration

    def recipients(configurations: Mapping[int, Configuration], message: Any) -> list[int]:
        valid = {key: entry for key, entry in configurations.items() if entry not in invalid}
        return behaviour.recipients(valid, message)

    return SenderBehaviour(read=read, recipients=recipients)


@faulty("invalid")
def accepts_anything() -> SenderBehaviour:
    """Accepts an invalid configuration."""
    return _accepting(set())


@faulty("invalid")
def validates_too_late() -> SenderBehaviour:
    """Stores an invalid configuration before it refuses it."""
    invalid: set[Configuration] = set()
    reported: set[Configuration] = set()

    def shown(configuration: Configuration) -> dict[str, Any]:
        if configuration in invalid - reported:
            reported.add(configuration)
            raise InputError("the configuration is not valid")
        return configuration.public_fields()

    return replace(_accepting(invalid), public_fields=shown)


@faulty("test")
def test_sends_nothing() -> SenderBehaviour:
    """Answers Test with success but sends nothing."""
    ids: set[str] = set()

    async def exchanged(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        return Answer(200) if msg_id(request.body) in ids else await exchange(session, request)

    return testing(ids, SenderBehaviour(exchange=exchanged))


@faulty("test[SHOULD]")
def test_always_succeeds() -> SenderBehaviour:
    """Answers Test with success before it has the result.

    It puts the test into a queue and reports success at once.
    """
    ids: set[str] = set()
    under_way: set[asyncio.Task[Answer]] = set()

    async def exchanged(session: aiohttp.ClientSession, request: Outgoing) -> Answer:
        if msg_id(request.body) not in ids:
            return await exchange(session, request)
        task = asyncio.create_task(exchange(session, request))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return Answer(200)

    return testing(ids, SenderBehaviour(exchange=exchanged))


@faulty("test[distinguishes-failures]", step="verdict")
def test_says_failed(reply: AttemptReply) -> str:
    """Does not say why a Test failed."""
    return "failed" if reply.problem else "success"


@over_https("delivers", step="request")
def https_as_http(request: Outgoing) -> Outgoing:
    """Uses plain HTTP for an https URL.

    It loses the scheme when it reassembles the URL.
    """
    return replace(request, url=request.url.with_scheme("http"))


@over_https("untrusted")
def certificates_unchecked() -> Settings:
    """Does not verify certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return Settings(tls=context)
