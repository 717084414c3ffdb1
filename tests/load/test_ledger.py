"""Ids cannot collide, and figures survive the transfer from a worker to its master."""

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from conformance.load.ledger import (
    ACKNOWLEDGED,
    FORGED,
    NUMBERS,
    RUNS,
    SAMPLES,
    VALID,
    WORKERS,
    Figures,
    Ledger,
    Second,
    msg_id,
)
from conformance.model.load import Kind, ResponseClass
from tests.trace.parts import exchange

PLACES = st.tuples(
    st.integers(0, RUNS - 1), st.integers(0, WORKERS - 1), st.integers(0, NUMBERS - 1)
)


@given(PLACES, PLACES)
def test_two_messages_share_an_id_only_if_they_are_the_same(one, other):
    assert (msg_id(*one) == msg_id(*other)) == (one == other)


@given(PLACES)
def test_an_id_is_below_two_to_the_63(place):
    assert 0 <= msg_id(*place) < 2**63


def ledger():
    made = Ledger(run=5, worker=2)
    for state in (VALID, VALID | ACKNOWLEDGED, FORGED):
        made.add_message(state)
    made.figures.responses[Kind.MESSAGE, ResponseClass.RIGHT] = 1
    made.figures.failures["503"] = 2
    made.figures.times[-500] = 3
    made.figures.seconds[4] = Second(5, 4, 3, 1, {-500: 3})
    made.figures.users = 7
    made.sample("message right", exchange)
    return made


def test_a_ledger_survives_the_transfer_to_the_master():
    carried = msgpack.loads(msgpack.dumps(ledger().pack()), raw=False, strict_map_key=False)
    assert Ledger.unpack(carried) == ledger()


def test_a_ledger_names_its_messages_in_order():
    first = msg_id(5, 2, 0)
    assert list(ledger().messages()) == [
        (first, VALID),
        (first + 1, VALID | ACKNOWLEDGED),
        (first + 2, FORGED),
    ]


def test_figures_of_two_processes_add_up():
    both = Figures()
    both.add(ledger().figures)
    both.add(ledger().figures)
    assert both.responses[Kind.MESSAGE, ResponseClass.RIGHT] == 2
    assert both.failures["503"] == 4
    assert both.times == {-500: 6}
    assert both.seconds == {4: Second(10, 8, 6, 2, {-500: 6})}
    assert both.users == 14


def test_a_few_exchanges_of_each_name_are_kept():
    made = Ledger(run=1, worker=0)
    for _ in range(10):
        made.sample("message right", exchange)
    made.sample("message 503", exchange)
    assert {name: len(kept) for name, kept in made.samples.items()} == {
        "message right": SAMPLES,
        "message 503": 1,
    }
