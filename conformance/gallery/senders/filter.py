"""Senders that pick the wrong messages, or the wrong receivers for them. Rules: sender.filter.*"""

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
"""The first msgType that is no user's message."""

Read = Mapping[str, Any]


def _wanting(wants: Callable[[Configuration, Read], bool]) -> SenderBehaviour:
    """A message goes to the configurations that want it in another sense."""

    def recipients(configurations: Mapping[int, Configuration], message: Read) -> list[int]:
        return [ident for ident, each in configurations.items() if wants(each, message)]

    return SenderBehaviour(recipients=recipients)


def _whatever_type(configuration: Configuration, message: Read) -> bool:
    return replace(configuration, message_types=(ALL,)).wants(message)


def _in_joined_list(configuration: Configuration, message: Read) -> bool:
    listed = ",".join(configuration.message_types)
    fits = listed == ALL or str(message["msgType"]) in listed
    return fits and _whatever_type(configuration, message)


def _by_subtype(configuration: Configuration, message: Read) -> bool:
    """An app message is 5 for a link, 33 for a mini program…, and nobody lists these."""
    kind = 5 if message["msgType"] == 49 else message["msgType"]
    return configuration.wants({**message, "msgType": kind})


def _system_always(configuration: Configuration, message: Read) -> bool:
    if message["msgType"] >= SYSTEM:
        return _whatever_type(configuration, message)
    return configuration.wants(message)


def _by_name_alone(configuration: Configuration, message: Read) -> bool:
    return ALL not in configuration.message_types and configuration.wants(message)


def _own_always(configuration: Configuration, message: Read) -> bool:
    return replace(configuration, include_self_message=True).wants(message)


def _own_never(configuration: Configuration, message: Read) -> bool:
    return configuration.wants(message) and not message["isSelfMsg"]


def _private(configuration: Configuration, message: Read) -> bool:
    """A look-up among the contacts, where no group is."""
    users = message["fromUser"], message["toUser"]
    group = any(user.endswith("@chatroom") for user in users)
    return configuration.wants(message) and not group


def _enabled_or_true(given: object, base: Configuration | None) -> Configuration:
    """`enabled = given.Enabled || true`."""
    return replace(config.read(given, base), enabled=True)


def _types_kept() -> SenderBehaviour:
    """A filter that is made when the webhook is first seen."""
    known: dict[str, tuple[str, ...]] = {}

    def wants(configuration: Configuration, message: Read) -> bool:
        types = known.setdefault(configuration.url, configuration.message_types)
        return replace(configuration, message_types=types).wants(message)

    return _wanting(wants)


def _newest(configurations: Mapping[int, Configuration], message: Read) -> list[int]:
    """One webhook in a global variable, which List does not tell."""
    return [ident for ident in list(configurations)[-1:] if configurations[ident].wants(message)]


def _one_secret() -> SenderBehaviour:
    """A secret that is read once for the whole process."""
    first: list[Secret] = []

    def read(given: object, base: Configuration | None) -> Configuration:
        configuration = config.read(given, base)
        first.append(configuration.secret)
        return configuration

    def composed(
        dialect: Dialect, configuration: Configuration, body: bytes, now: float
    ) -> Outgoing:
        return compose(dialect, replace(configuration, secret=first[0]), body, now)

    return SenderBehaviour(read=read, compose=composed)


def _rule(*names: str) -> tuple[str, ...]:
    return tuple(f"sender.filter.{name}" for name in names)


FILTER = (
    FaultySender(
        "types-ignored",
        "delivers every type, whatever MessageTypes lists",
        _rule("message-types", "update-applies"),
        _wanting(_whatever_type),
    ),
    FaultySender(
        "types-by-substring",
        "looks for a type as a part of the joined list, where 3 is found in 34",
        _rule("message-types"),
        _wanting(_in_joined_list),
    ),
    FaultySender(
        "links-by-subtype",
        "takes a link for its subtype, which MessageTypes does not list",
        _rule("message-types"),
        _wanting(_by_subtype),
    ),
    FaultySender(
        "system-messages-always",
        "leads system messages and recalls around the filter",
        _rule("message-types[10000]", "message-types[10002]"),
        _wanting(_system_always),
    ),
    FaultySender(
        "star-unknown",
        'takes "*" for the name of a type',
        _rule("message-types[all]"),
        _wanting(_by_name_alone),
    ),
    FaultySender(
        "own-messages-always",
        "delivers own messages though IncludeSelfMessage is false",
        _rule("self-message"),
        _wanting(_own_always),
    ),
    FaultySender(
        "own-messages-never",
        "never delivers own messages, though IncludeSelfMessage is true",
        _rule("self-message"),
        _wanting(_own_never),
    ),
    FaultySender(
        "disabled-delivers",
        "lets its default of true win over an Enabled that is false",
        _rule("disabled"),
        SenderBehaviour(read=_enabled_or_true),
    ),
    FaultySender(
        "update-needs-restart",
        "filters by the MessageTypes that a webhook had first, until it is started again",
        _rule("update-applies"),
        _types_kept,
    ),
    FaultySender(
        "groups-dropped",
        "drops the messages of groups",
        _rule("group-and-private"),
        _wanting(_private),
    ),
    FaultySender(
        "one-secret-for-all",
        "signs for every configuration with the secret of the first",
        _rule("fan-out", "update-applies"),
        _one_secret,
    ),
    FaultySender(
        "newest-served-alone",
        "delivers to the newest configuration alone",
        _rule("fan-out"),
        SenderBehaviour(recipients=_newest),
    ),
)
