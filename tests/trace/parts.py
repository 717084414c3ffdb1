"""Exchanges and traces for tests, and Hypothesis strategies for them."""

import contextlib

from hypothesis import strategies as st

from conformance import check_receiver
from conformance.model.exchange import (
    Answer,
    Exchange,
    Fault,
    Leg,
    Masked,
    Request,
    Role,
    Signing,
    Transport,
)
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.receiver.app import ENDPOINT, OBSERVER, serving
from conformance.receiver.behaviour import ReceiverBehaviour
from conformance.receiver.inbox import Inbox
from conformance.scenario import dialects
from tests.patience import RUN

SECRET = "5ecret-for-the-traces"
KEY = SECRET.encode()
URL = "http://127.0.0.1:5000/webhook/receiver"
BYTES = bytes(range(256))
FEW = 5
"""Examples of each fuzz rule, which are recorded like the rest."""


def exchange(**changes):
    """A probe that was answered 200, with `changes` to its fields."""
    fields = {
        "id": 1,
        "role": Role.PROBE,
        "rule": "receiver.body.empty",
        "case": None,
        "step": 0,
        "msg_id": "7",
        "request": Request("POST", URL, ((b"X-Odd", b"\xff\x00"),), BYTES),
        "signing": None,
        "answer": Answer(200, ((b"X-A", b"\xe9"),), BYTES),
        "fault": None,
        "detail": "",
        "started": 1.0,
        "sent": 1.5,
        "ended": 2.0,
    }
    return Exchange(**(fields | changes))


def attempt(number, msg_id="7", status=200, begin=0.0, seconds=0.1, **changes):
    """A delivery by a sender."""
    fields = {
        "id": number,
        "role": Role.ATTEMPT,
        "rule": None,
        "msg_id": msg_id,
        "request": Request("POST", "http://127.0.0.1:1/h/a", (), b"{}", Transport.RAW),
        "answer": Answer(status, (), b"") if status is not None else None,
        "fault": None if status is not None else Fault.TIMEOUT,
        "started": begin,
        "sent": begin,
        "ended": begin + seconds,
        "clock": 1_700_000_000.0 + begin,
    }
    return exchange(**(fields | changes))


@contextlib.asynccontextmanager
async def receiver(behaviour=None, secret=KEY):
    """A receiver on a free port; yields arguments for `check_receiver`."""
    signer = Signer(dialects.load("guide"), Secret(secret))
    async with (
        Inbox(":memory:") as inbox,
        serving(behaviour or ReceiverBehaviour(), inbox, signer) as base,
    ):
        yield {
            "url": base + ENDPOINT,
            "secret": SECRET,
            "observer_url": base + OBSERVER,
        }


async def judged(behaviour=None, *, observer=True, **options):
    """The report of a run against a receiver."""
    async with receiver(behaviour) as there:
        if not observer:
            del there["observer_url"]
        return await check_receiver(
            **{"fuzz": FEW, "examples": None, "timeout": RUN, **there, **options}
        )


texts = st.text(max_size=20)
names = st.text(st.characters(max_codepoint=255), max_size=12).map(lambda it: it.encode("latin-1"))
headers = st.lists(st.tuples(names, names), max_size=3).map(tuple)
bodies = st.binary(max_size=60)
seconds = st.floats(0, 1e6)

signings = st.builds(
    Signing,
    timestamp=names,
    body=bodies,
    secret=st.none() | texts.filter(str.isascii),
    signed_stamp=texts.filter(str.isascii),
    signatures=st.lists(texts, max_size=2).map(tuple),
    stamp=st.none() | texts,
    prefix=texts,
    authentic=st.booleans(),
)
answers = st.builds(Answer, st.integers(100, 999), headers, bodies, st.booleans())
exchanges = st.builds(
    Exchange,
    id=st.just(1),
    role=st.sampled_from(Role),
    rule=st.none() | st.just("receiver.body.empty"),
    case=st.none() | texts,
    step=st.integers(0, 9),
    msg_id=st.none() | texts,
    request=st.builds(
        Request,
        st.sampled_from(["GET", "POST"]),
        texts,
        headers,
        bodies,
        st.sampled_from(Transport),
    ),
    signing=st.none() | signings,
    answer=st.none() | answers,
    fault=st.none() | st.sampled_from(Fault),
    detail=texts,
    started=seconds,
    sent=seconds,
    ended=seconds,
    peer=st.none() | texts,
    clock=st.none() | seconds,
    masked=st.frozensets(st.sampled_from(Masked)),
    superseded=st.booleans(),
    raw=st.none() | bodies,
    injected=st.none() | texts,
    leg=st.none() | st.sampled_from(Leg),
    link=st.none() | st.integers(1, 9),
)
"""Any exchange of a run. Texts hold no lone surrogates, which the file escapes."""
