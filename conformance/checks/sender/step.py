"""What one step of a sender's case left behind, looked up in the case's exchanges."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.model.exchange import Exchange, Fault, Role
from conformance.protocol.delivery import GUIDE_DEADLINE, deadline
from conformance.protocol.message import mark_in
from conformance.scenario.sender import SenderCase

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepSeen:
    """One step of `sender_case`, number `index`, and all the case's exchanges, in the order in which they
    began."""

    sender_case: SenderCase
    index: int
    exchanges: Sequence[Exchange]

    @property
    def given(self) -> list[Exchange]:
        """The events that the step gave to the sender, each once: a refused one may be given again."""
        here = [e for e in self.exchanges if e.role is Role.EMIT and e.step == self.index]
        return list({each.msg_id: each for each in here}.values())

    @property
    def refused(self) -> list[Exchange]:
        """Those that the sender did not take."""
        return [e for e in self.given if e.status is None or not 200 <= e.status < 300]

    @property
    def ids(self) -> list[str]:
        """The msgIds of the messages that the step is about. Of drawn ones a sender may refuse some."""
        refused = {each.msg_id for each in self.refused} if self.drawn else set()
        return [str(each.msg_id) for each in self.given if each.msg_id not in refused]

    @property
    def drawn(self) -> bool:
        """Whether its messages are drawn."""
        emit = self.sender_case.actions[self.index].emit
        return emit is not None and emit.drawn is not None

    @property
    def call(self) -> Exchange | None:
        """The call of the API that the step made."""
        wanted = self.sender_case.actions[self.index].call
        if wanted is None:
            return None
        calls = [e for e in self._calls(wanted.name.removesuffix("-only")) if e.step == self.index]
        return calls[-1] if calls else None

    @property
    def configured(self) -> Exchange | None:
        """The call of Config for the case's configuration: the last, since the other one comes first."""
        calls = self._calls("Config")
        return calls[-1] if calls else None

    def _calls(self, name: str) -> list[Exchange]:
        calls = [each for each in self.exchanges if each.role is Role.API]
        return [each for each in calls if called(each, name)]

    @property
    def retry_count(self) -> int | None:
        """The RetryCount that the case asks for, if it does."""
        return self.sender_case.listener.configure.get("RetryCount")

    @property
    def deadline(self) -> float:
        """The seconds that the sender gives each attempt (guide: 伺服器要求 3, 配置步驟 1)."""
        return deadline(self.sender_case.listener.configure.get("Timeout", GUIDE_DEADLINE))

    def came(self, *, other: bool = False) -> defaultdict[str, list[Exchange]]:
        """msgId → the attempts for it, until the case's next call; what has no msgId is under "". After
        a call of Test, test messages alone: others that the endpoint wants may come meanwhile."""
        role = Role.ELSEWHERE if other else Role.ATTEMPT
        until = self._next_call()
        action = self.sender_case.actions[self.index].call
        tests = action is not None and action.name == "Test"
        found: defaultdict[str, list[Exchange]] = defaultdict(list)
        for each in self.exchanges:
            if each.role is not role or each.started >= until or not self._after(each):
                continue
            if not tests or mark_in(each.request.body) is None:
                found[each.msg_id or ""].append(each)
        return found

    def given_ids(self, msg_ids: Iterable[str]) -> tuple[int, ...]:
        """The exchanges in which messages were given, or else the step's call."""
        wanted = set(msg_ids)
        ids = tuple(each.id for each in self.given if each.msg_id in wanted)[:10]
        return ids or ((self.call.id,) if self.call is not None else ())

    def expected_answer(self, attempt: Exchange) -> float | None:
        """The seconds after which the script answers 200 to a first attempt, if it does."""
        first = self.sender_case.listener.answers[0]
        return first.delay if first.status == 200 and first.fault is None else None

    def _after(self, each: Exchange) -> bool:
        """Whether an attempt is not older than the step, as those of an earlier Test are."""
        return self.call is None or bool(self.given) or each.started >= self.call.started

    def _next_call(self) -> float:
        calls = [e for e in self.exchanges if e.role is Role.API and e.step > self.index]
        return min((each.started for each in calls), default=float("inf"))


def called(exchange: Exchange, name: str) -> bool:
    """Whether a call of the API is one of `name`."""
    return exchange.request.url.partition("?")[0].endswith(f"/{name}")


def fields_of(exchange: Exchange) -> Fields:
    """The JSON object that a request carries; empty when it carries none."""
    try:
        fields = json.loads(exchange.request.body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def whole(each: Exchange) -> bool:
    """Whether a body came, and came to its end; what is cut is for sender.wire.whole-body alone."""
    body = each.request.body.strip()
    cut = each.fault is Fault.CLOSED and "mid-body" in each.detail
    return bool(body) and not cut and not (body.startswith(b"{") and not body.endswith(b"}"))
