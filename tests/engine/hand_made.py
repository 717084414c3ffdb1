"""Builds the exchanges that a correct sender would leave.

A test changes what it is about by keyword. Ids count up, so that a finding can be identified by them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.step import CaseExchanges, StepExchanges
from conformance.model.exchange import Answer, Exchange, Headers, Request, Role
from conformance.model.rules import Finding, Held, Judgement, Level, Unjudged
from conformance.model.sentence import EMPTY
from conformance.protocol.dialect import Secret, sign
from conformance.protocol.message import build
from conformance.protocol.schemes import Scheme
from conformance.protocol.signing import Signer
from conformance.reporting.languages import in_chinese
from conformance.scenario import dialects
from conformance.scenario import sender as emission
from conformance.scenario.records import Case
from conformance.scenario.sender import SenderCase

NOW = 1769845800
GUIDE = dialects.load("guide")
SECRET = Secret("a lighthouse, 燈塔".encode())
OTHER = Secret(b"the other endpoint's")
SIGNER = Signer(GUIDE, SECRET)
SCHEME = Scheme(SIGNER, None, EMPTY)
API = "http://sender/v1/webhook"

PROFILE = SenderProfile(
    requested=SIGNER, other_secret=OTHER, scheme=SCHEME, waits=((1.0,), (2.0,)), emits=True
)

_IDS = itertools.count(1)


def message(kind: str = "text", **fields: object) -> dict[str, Any]:
    """The fields of a delivered message of `kind`, created a little before NOW."""
    return build(kind, "1", NOW).fields() | fields


def exchange(role: Role, request: Request, **more: Any) -> Exchange:
    """An exchange of the first step, answered 200 at once, unless `more` says otherwise."""
    at = more.pop("at", 0.0)
    status, body, headers = (more.pop(name, None) for name in ("status", "said", "headers"))
    answer = (
        Answer(status or 200, headers or (), body or b"") if more.get("fault") is None else None
    )
    defaults = {
        "rule": "sender.house.it", "case": None, "step": 0, "msg_id": None, "signing": None,
        "answer": answer, "fault": None, "detail": "", "started": at, "sent": at, "ended": at,
        "clock": NOW + at,
    }  # fmt: skip
    return Exchange(id=next(_IDS), role=role, request=request, **(defaults | more))


def attempt(
    fields: dict[str, Any] | None = None,
    *,
    body: bytes | None = None,
    stamp: bytes | None = None,
    signature: bytes | None = None,
    secret: bytes = SECRET,
    without: Iterable[str] = (),
    kind: str = "application/json",
    method: str = "POST",
    role: Role = Role.ATTEMPT,
    **more: Any,
) -> Exchange:
    """A delivery `at` seconds after the start, signed as the guide says."""
    fields = message() if fields is None else fields
    body = json.dumps(fields, ensure_ascii=False).encode() if body is None else body
    stamp = b"%d" % (NOW + more.get("at", 0.0)) if stamp is None else stamp
    valid = sign(GUIDE, secret, stamp, body)
    headers: Headers = (
        (b"Content-Type", kind.encode()),
        (b"X-Webhook-Timestamp", stamp),
        (b"X-Webhook-Signature", valid if signature is None else signature),
    )
    sent = tuple((name, value) for name, value in headers if name.decode() not in without)
    more.setdefault("msg_id", fields.get("msgId"))
    return exchange(role, Request(method, "http://mock/h/1", sent, body), **more)


def attempts(*starts: float, took: float = 0.0, status: int = 500, **more: Any) -> list[Exchange]:
    """Attempts for one message that begin at `starts` and take `took` seconds each."""
    return [attempt(at=at, ended=at + took, status=status, **more) for at in starts]


def given(fields: dict[str, Any] | None = None, **more: Any) -> Exchange:
    """The event of a message, as the sender accepted it."""
    event = dict(message() if fields is None else fields)
    event.pop("timestamp", None)
    body = json.dumps(event, ensure_ascii=False).encode()
    more.setdefault("msg_id", event["msgId"])
    more.setdefault("status", 202)
    return exchange(Role.EMIT, Request("POST", f"{API}/Emit", (), body), **more)


def called(
    name: str, said: object = b"{}", fields: dict[str, Any] | None = None, **more: Any
) -> Exchange:
    """A call of the API and its answer: bytes, or a value to be written as JSON."""
    answer = said if isinstance(said, bytes) else json.dumps(said).encode()
    body = b"" if fields is None else json.dumps(fields).encode()
    return exchange(Role.API, Request("GET", f"{API}/{name}", (), body), said=answer, **more)


def sender_case(**words: Any) -> SenderCase:
    """The sender case that these words of a scenario file describe."""
    return emission.read({}, words, Level.MUST)


def case(**words: Any) -> Case:
    """The same as a case of a rule."""
    return Case(None, Level.MUST, sender_case=sender_case(**words))


EMIT = {"emit": {}, "expect": {"arrives": True}}


def step(*exchanges: Exchange, index: int = 0, **words: Any) -> StepExchanges:
    """A step that emits a message and waits for it, unless `words` say otherwise."""
    case_exchanges = CaseExchanges(exchanges)
    return StepExchanges(sender_case(**({"steps": [EMIT]} | words)), index, case_exchanges)


def broken(judgements: Iterable[Judgement]) -> list[Finding | Unjudged]:
    """The judgements that are not `Held`. There must be some judgement: nothing holds by itself."""
    there = list(judgements)
    assert there
    return [each for each in there if not isinstance(each, Held)]


def told(found: Iterable[Finding | Unjudged]) -> list[str]:
    """The messages in English. Both languages must have one that can be encoded."""
    texts = [each.message if isinstance(each, Finding) else each.reason for each in found]
    assert all(in_chinese(text).encode() and str(text).encode() for text in texts)
    return [str(text) for text in texts]
