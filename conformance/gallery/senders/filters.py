"""Senders that deliver the wrong messages, or to the wrong webhooks. Rules: sender.filter.*"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from yarl import URL

from conformance.gallery.peer import Faults, row
from conformance.gallery.senders.serve import SENDER
from conformance.protocol import configuration as config
from conformance.protocol.configuration import ALL, Configuration
from conformance.protocol.dialect import Dialect, Secret
from conformance.sender.attempt import Outgoing, compose
from conformance.sender.behaviour import SenderBehaviour

SYSTEM = 10000
"""The first msgType that is not a user's message."""

Message = Mapping[str, Any]

faulty = Faults("sender.filter", SENDER)


@faulty("message-types", "update-applies", step="wants")
def types_ignored(configuration: Configuration, message: Message) -> bool:
    """Ignores MessageTypes and delivers every type."""
    return replace(configuration, message_types=(ALL,)).wants(message)


@faulty("message-types", step="wants")
def types_by_substring(configuration: Configuration, message: Message) -> bool:
    """Looks for a type in the joined MessageTypes, where 34 contains 3."""
    listed = ",".join(configuration.message_types)
    fits = listed == ALL or str(message["msgType"]) in listed
    return fits and types_ignored(configuration, message)


@faulty("message-types", step="wants")
def links_by_subtype(configuration: Configuration, message: Message) -> bool:
    """Filters a link by its subtype, which MessageTypes does not list.

    The subtype of an app message is 5 for a link, 33 for a mini program…; nobody lists these.
    """
    kind = 5 if message["msgType"] == 49 else message["msgType"]
    return configuration.wants({**message, "msgType": kind})


@faulty("message-types[10000]", "message-types[10002]", step="wants")
def system_messages_always(configuration: Configuration, message: Message) -> bool:
    """Does not filter system messages and recalls."""
    if message["msgType"] >= SYSTEM:
        return types_ignored(configuration, message)
    return configuration.wants(message)


@faulty("message-types[all]", step="wants")
def star_unknown(configuration: Configuration, message: Message) -> bool:
    """Treats "*" as the name of a type."""
    return ALL not in configuration.message_types and configuration.wants(message)


@faulty("self-message", step="wants")
def own_messages_always(configuration: Configuration, message: Message) -> bool:
    """Delivers own messages even if IncludeSelfMessage is false."""
    return replace(configuration, include_self_message=True).wants(message)


@faulty("self-message", step="wants")
def own_messages_never(configuration: Configuration, message: Message) -> bool:
    """Never delivers own messages, even if IncludeSelfMessage is true."""
    return configuration.wants(message) and not message["isSelfMsg"]


@faulty("disabled", step="read")
def disabled_delivers(body: object, base: Configuration | None) -> Configuration:
    """Treats an Enabled of false as true.

    `enabled = body.Enabled || true`.
    """
    return replace(config.read(body, base), enabled=True)


@faulty("update-applies", step="wants", state=dict)
def update_needs_restart(
    filters: dict[str, tuple[str, ...]], configuration: Configuration, message: Message
) -> bool:
    """Keeps a webhook's first MessageTypes until a restart.

    It builds the filter at the first message for a webhook and never again.
    """
    types = filters.setdefault(configuration.url, configuration.message_types)
    return replace(configuration, message_types=types).wants(message)


@faulty("group-and-private", step="wants")
def groups_dropped(configuration: Configuration, message: Message) -> bool:
    """Drops group messages.

    It looks users up among the contacts, which hold no groups.
    """
    users = message["fromUser"], message["toUser"]
    group = any(user.endswith("@chatroom") for user in users)
    return configuration.wants(message) and not group


@faulty("fan-out", "update-applies")
def one_secret_for_all() -> SenderBehaviour:
    """Signs for every configuration with the first one's secret.

    It reads the secret once for the whole process.
    """
    secrets: list[Secret] = []

    def read(body: object, base: Configuration | None) -> Configuration:
        configuration = config.read(body, base)
        secrets.append(configuration.secret)
        return configuration

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        return compose(dialect, replace(configuration, secret=secrets[0]), body, now)

    return SenderBehaviour(read=read, compose=composed)


@faulty("fan-out", step="recipients")
def newest_served_alone(configurations: Mapping[int, Configuration], message: Message) -> list[int]:
    """Delivers only to the newest configuration.

    It keeps one webhook in a global variable, though List shows them all.
    """
    return [key for key in list(configurations)[-1:] if configurations[key].wants(message)]


@faulty(
    "url-whole",
    step="request",
    rows=(
        row("query-dropped", "drops the query", url=lambda url: url.with_query(None)),
        row("slash-appended", "appends a slash to the path", url=lambda url: url / ""),
        row(
            "keys-once",
            "keeps one value of a repeated key",
            "url-whole[repeated-keys]",
            url=lambda url: url.with_query(dict(url.query)),
        ),
        row(
            "path-decoded",
            "decodes %2F in the path",
            "url-whole[encoded-slash]",
            url=lambda url: URL(str(url).replace("%2F", "/"), encoded=True),
        ),
    ),
)
def _changed_url(request: Outgoing, *, url: Callable[[URL], URL]) -> Outgoing:
    """Takes the URL apart, and {}."""
    return replace(request, url=url(request.url))
