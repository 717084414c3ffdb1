"""Finds what belongs to one step of a sender's case among the case's exchanges."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.model.exchange import Exchange, Fault, Role
from conformance.model.sentence import EMPTY, Sentence
from conformance.protocol.delivery import GUIDE_DEADLINE, deadline
from conformance.protocol.message import mark_in
from conformance.scenario.sender import SenderCase

Fields = dict[str, Any]


class CaseExchanges:
    """The exchanges of one case, in the order in which they began, indexed once by role and by step."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._by_role: defaultdict[Role, list[Exchange]] = defaultdict(list)
        self._by_step: defaultdict[tuple[Role, int], list[Exchange]] = defaultdict(list)
        for exchange in exchanges:
            self._by_role[exchange.role].append(exchange)
            self._by_step[exchange.role, exchange.step].append(exchange)

    def having(self, role: Role) -> Sequence[Exchange]:
        """Those with this role."""
        return self._by_role.get(role, ())

    def of_step(self, role: Role, step: int) -> Sequence[Exchange]:
        """Those with this role that belong to step number `step`."""
        return self._by_step.get((role, step), ())


@dataclass(frozen=True, slots=True)
class StepExchanges:
    """Step number `index` of `sender_case`, and all exchanges of the case."""

    sender_case: SenderCase
    index: int
    exchanges: CaseExchanges

    @property
    def up_to_here(self) -> list[StepExchanges]:
        """This step and those before it."""
        steps = range(self.index + 1)
        return [StepExchanges(self.sender_case, step, self.exchanges) for step in steps]

    @property
    def events(self) -> list[Exchange]:
        """The message events that the step passed to the sender, the last try for each message."""
        here = self.exchanges.of_step(Role.EMIT, self.index)
        return list({event.msg_id: event for event in here}.values())

    @property
    def refused_events(self) -> list[Exchange]:
        """The events that the sender did not accept."""
        return [e for e in self.events if e.status is None or not 200 <= e.status < 300]

    @property
    def ids(self) -> list[str]:
        """The msgIds of the step's messages, without drawn ones that were refused: a sender may do so."""
        refused = {event.msg_id for event in self.refused_events} if self.is_drawn else set()
        return [str(event.msg_id) for event in self.events if event.msg_id not in refused]

    @property
    def is_drawn(self) -> bool:
        """Whether its messages are drawn."""
        emit = self.sender_case.actions[self.index].emit
        return emit is not None and emit.drawn is not None

    @property
    def call(self) -> Exchange | None:
        """The step's call of the configuration API."""
        action = self.sender_case.actions[self.index].call
        if action is None:
            return None
        calls = [e for e in self._calls(action.name.removesuffix("-only")) if e.step == self.index]
        return calls[-1] if calls else None

    @property
    def config_call(self) -> Exchange | None:
        """The Config call for the case's endpoint: the last, since the other endpoint's comes first."""
        calls = self._calls("Config")
        return calls[-1] if calls else None

    def _calls(self, name: str) -> list[Exchange]:
        return [call for call in self.exchanges.having(Role.API) if is_call(call, name)]

    @property
    def retry_count(self) -> int | None:
        """The RetryCount that the case configures, if it does."""
        return self.sender_case.endpoint.configure.get("RetryCount")

    @property
    def deadline(self) -> float:
        """The sender's deadline for each attempt, in seconds (guide: 伺服器要求 3, 配置步驟 1)."""
        return deadline(self.sender_case.endpoint.configure.get("Timeout", GUIDE_DEADLINE))

    @property
    def deliveries(self) -> Sequence[Exchange]:
        """All deliveries of the case to its own endpoint, of whatever message."""
        return self.exchanges.having(Role.ATTEMPT)

    @property
    def handshakes(self) -> Sequence[Exchange]:
        """The TLS handshakes that the sender began with the case's endpoint."""
        return self.exchanges.having(Role.HANDSHAKE)

    def attempts(self, *, other: bool = False) -> defaultdict[str, list[Exchange]]:
        """msgId → its attempts until the case's next API call; those without a msgId are under "". After
        a call of Test only test messages count: other messages for the endpoint may arrive meanwhile."""
        role = Role.ELSEWHERE if other else Role.ATTEMPT
        until = self._next_call()
        action = self.sender_case.actions[self.index].call
        tests = action is not None and action.name == "Test"
        by_message: defaultdict[str, list[Exchange]] = defaultdict(list)
        for exchange in self.exchanges.having(role):
            if exchange.started >= until or not self._is_after_call(exchange):
                continue
            if not tests or mark_in(exchange.request.body) is None:
                by_message[exchange.msg_id or ""].append(exchange)
        return by_message

    def evidence_ids(self, msg_ids: Iterable[str]) -> tuple[int, ...]:
        """Exchange ids to cite for messages that did not arrive: their events, or else the step's call."""
        missing = set(msg_ids)
        ids = tuple(event.id for event in self.events if event.msg_id in missing)[:10]
        return ids or ((self.call.id,) if self.call is not None else ())

    @property
    def accepts_first(self) -> bool:
        """Whether the script answers a first attempt with 200."""
        first = self.sender_case.endpoint.answers[0]
        return first.status == 200 and first.fault is None

    def _is_after_call(self, attempt: Exchange) -> bool:
        """Whether an attempt is no older than the step's call; those of an earlier Test are."""
        return self.call is None or bool(self.events) or attempt.started >= self.call.started

    def _next_call(self) -> float:
        later = (c.started for c in self.exchanges.having(Role.API) if c.step > self.index)
        return min(later, default=float("inf"))


def some_of(count: int, total: int) -> Sentence:
    """How many messages of a step a finding is about; empty where there is only one."""
    if total == 1:
        return EMPTY
    return Sentence("{count} of {total} messages: ", count=count, total=total)


def is_call(exchange: Exchange, name: str) -> bool:
    """Whether an API exchange calls `name`."""
    return exchange.request.url.partition("?")[0].endswith(f"/{name}")


def fields_of(exchange: Exchange) -> Fields:
    """The JSON object in a request's body; empty when there is none."""
    try:
        fields = json.loads(exchange.request.body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def has_whole_body(exchange: Exchange) -> bool:
    """Whether the body is there and complete. Only sender.wire.whole-body reports one that is cut."""
    body = exchange.request.body.strip()
    cut = exchange.fault is Fault.CLOSED and "mid-body" in exchange.detail
    return bool(body) and not cut and not (body.startswith(b"{") and not body.endswith(b"}"))
