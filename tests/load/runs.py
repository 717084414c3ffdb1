"""Runs that never happened, for what is made of a run."""

from dataclasses import replace

from conformance.load import histogram
from conformance.load.ledger import (
    ACKNOWLEDGED,
    FORGED,
    REPEATED,
    VALID,
    Came,
    Effects,
    Kind,
    Ledger,
)
from conformance.load.settings import Settings
from conformance.load.verdict import LoadRun
from conformance.protocol.dialect import Secret
from conformance.protocol.tampering import Signer
from conformance.scenario.dialects import load

SECRET = "a lighthouse"
SETTINGS = Settings(
    host="http://127.0.0.1:5000",
    path="/webhook/receiver",
    signer=Signer(load("guide"), Secret(SECRET.encode())),
    deadline=5.0,
    observer_url="http://127.0.0.1:5000/processed?msgId={msgId}",
    mix={"ordinary": 1.0},
    user_rate=None,
    repeat_within=1000,
    seed=1,
    max_p99=5.0,
    max_fail_ratio=0.0,
    ca=None,
    language="en",
)


def ledger(right=100, repeats=10, forgeries=20, **wrong):
    """What one process saw: `wrong` are numbers of valid requests by what came of them."""
    made = Ledger(run=1, worker=0)
    for number in range(right):
        state = VALID | ACKNOWLEDGED | (REPEATED if number < repeats else 0)
        made.fresh(state)
    for _ in range(forgeries):
        made.fresh(FORGED)
    figures = made.figures
    figures.users = 5
    figures.came[Kind.MESSAGE, Came.RIGHT] = right
    figures.came[Kind.REPEAT, Came.RIGHT] = repeats
    figures.came[Kind.FORGERY, Came.RIGHT] = forgeries
    for name, number in wrong.items():
        figures.came[Kind.MESSAGE, Came(name)] = number
        figures.said[name] = number
    figures.slowest = 0.02
    for at in range(right + repeats):
        second = figures.second(at % 3)
        second.offered += 1
        second.sent += 1
        second.right += 1
        for times in (second.times, figures.times):
            histogram.count(times, 0.01)
    return made


def effects(ledgers, **changes):
    """An observer that saw each valid message once, but for `changes`."""
    messages = sum(len(each.states) for each in ledgers)
    return replace(Effects(messages, messages), **changes)


def run(*ledgers, settings=SETTINGS, **changes):
    """A run in which all went well, but for what its ledgers and `changes` say."""
    ledgers = ledgers or (ledger(),)
    figures = ledgers[0].figures
    for each in ledgers[1:]:
        figures.add(each.figures)
    made = LoadRun(
        settings=settings,
        started="2026-11-24T02:00:00Z",
        seconds=3.0,
        workers=len(ledgers),
        figures=figures,
        ledgers=ledgers,
        effects=effects(ledgers),
    )
    return replace(made, **changes)
