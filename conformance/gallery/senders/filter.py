"""Senders that deliver the wrong messages, or to the wrong webhooks. Rules: sender.filter.*"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from conformance.gallery.senders.peer import FaultySender
from conformance.protocol import configuration as config
from conformance.protocol.configuration import ALL, Configuration
from conformance.protocol.dialect import Dialect, Secret
from conformance.sender.attempt import Outgoing, compose
from conformance.sender.behaviour import SenderBehaviour

SYSTEM = 10000
"""The first msgType that is not a user's message."""

Message = Mapping[str, Any]


def _delivering(wants: Callable[[Configuration, Message], bool]) -> SenderBehaviour:
    """Delivers a message to the configurations for which `wants` returns true."""

    def recipients(configurations: Mapping[int, Configuration], message: Message) -> list[int]:
        return [key for key, entry in configurations.items() if wants(entry, message)]

    return SenderBehaviour(recipients=recipients)


def _wants_any_type(configuration: Configuration, message: Message) -> bool:
    return replace(configuration, message_types=(ALL,)).wants(message)


def _wants_substring(configuration: Configuration, message: Message) -> bool:
    listed = ",".join(configuration.message_types)
    fits = listed == ALL or str(message["msgType"]) in listed
    return fits and _wants_any_type(configuration, message)


def _wants_subtype(configuration: Configuration, message: Message) -> bool:
    """The subtype of an app message is 5 for a link, 33 for a mini program…; nobody lists these."""
    kind = 5 if message["msgType"] == 49 else message["msgType"]
    return configuration.wants({**message, "msgType": kind})


def _wants_system(configuration: Configuration, message: Message) -> bool:
    if message["msgType"] >= SYSTEM:
        return _wants_any_type(configuration, message)
    return configuration.wants(message)


def _wants_name(configuration: Configuration, message: Message) -> bool:
    return ALL not in configuration.message_types and configuration.wants(message)


def _wants_own(configuration: Configuration, message: Message) -> bool:
    return replace(configuration, include_self_message=True).wants(message)


def _wants_others(configuration: Configuration, message: Message) -> bool:
    return configuration.wants(message) and not message["isSelfMsg"]


def _wants_private(configuration: Configuration, message: Message) -> bool:
    """Looks users up among the contacts, which hold no groups."""
    users = message["fromUser"], message["toUser"]
    group = any(user.endswith("@chatroom") for user in users)
    return configuration.wants(message) and not group


def _enable_always(body: object, base: Configuration | None) -> Configuration:
    """`enabled = body.Enabled || true`."""
    return replace(config.read(body, base), enabled=True)


def _keep_types() -> SenderBehaviour:
    """Builds the filter at the first message for a webhook and never again."""
    filters: dict[str, tuple[str, ...]] = {}

    def wants(configuration: Configuration, message: Message) -> bool:
        types = filters.setdefault(configuration.url, configuration.message_types)
        return replace(configuration, message_types=types).wants(message)

    return _delivering(wants)


def _choose_newest(configurations: Mapping[int, Configuration], message: Message) -> list[int]:
    """Keeps one webhook in a global variable, though List shows them all."""
    return [key for key in list(configurations)[-1:] if configurations[key].wants(message)]


def _share_secret() -> SenderBehaviour:
    """Reads the secret once for the whole process."""
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


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.filter.{name}" for name in names)


FILTER = (
    FaultySender(
        "types-ignored",
        "ignores MessageTypes and delivers every type",
        _rule("message-types", "update-applies"),
        _delivering(_wants_any_type),
    ),
    FaultySender(
        "types-by-substring",
        "looks for a type in the joined MessageTypes, where 34 contains 3",
        _rule("message-types"),
        _delivering(_wants_substring),
    ),
    FaultySender(
        "links-by-subtype",
        "filters a link by its subtype, which MessageTypes does not list",
        _rule("message-types"),
        _delivering(_wants_subtype),
    ),
    FaultySender(
        "system-messages-always",
        "does not filter system messages and recalls",
        _rule("message-types[10000]", "message-types[10002]"),
        _delivering(_wants_system),
    ),
    FaultySender(
        "star-unknown",
        'treats "*" as the name of a type',
        _rule("message-types[all]"),
        _delivering(_wants_name),
    ),
    FaultySender(
        "own-messages-always",
        "delivers own messages even if IncludeSelfMessage is false",
        _rule("self-message"),
        _delivering(_wants_own),
    ),
    FaultySender(
        "own-messages-never",
        "never delivers own messages, even if IncludeSelfMessage is true",
        _rule("self-message"),
        _delivering(_wants_others),
    ),
    FaultySender(
        "disabled-delivers",
        "treats an Enabled of false as true",
        _rule("disabled"),
        SenderBehaviour(read=_enable_always),
    ),
    FaultySender(
        "update-needs-restart",
        "keeps a webhook's first MessageTypes until a restart",
        _rule("update-applies"),
        _keep_types,
    ),
    FaultySender(
        "groups-dropped",
        "drops group messages",
        _rule("group-and-private"),
        _delivering(_wants_private),
    ),
    FaultySender(
        "one-secret-for-all",
        "signs for every configuration with the first one's secret",
        _rule("fan-out", "update-applies"),
        _share_secret,
    ),
    FaultySender(
        "newest-served-alone",
        "delivers only to the newest configuration",
        _rule("fan-out"),
        SenderBehaviour(recipients=_choose_newest),
    ),
)
