"""Invented runs, for tests of the verdict and the reports."""

from dataclasses import replace

from conformance.load import histogram
from conformance.load.ledger import (
    ACKNOWLEDGED,
    FORGED,
    REPEATED,
    VALID,
    Effects,
    Kind,
    Ledger,
    ResponseClass,
)
from conformance.load.settings import Settings
from conformance.load.verdict import LoadRun
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
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
    """The ledger of one process; `wrong` maps a response class to a number of valid requests."""
    made = Ledger(run=1, worker=0)
    for number in range(right):
        state = VALID | ACKNOWLEDGED | (REPEATED if number < repeats else 0)
        made.add_message(state)
    for _ in range(forgeries):
        made.add_message(FORGED)
    figures = made.figures
    figures.users = 5
    figures.responses[Kind.MESSAGE, ResponseClass.RIGHT] = right
    figures.responses[Kind.REPEAT, ResponseClass.RIGHT] = repeats
    figures.responses[Kind.FORGERY, ResponseClass.RIGHT] = forgeries
    for name, number in wrong.items():
        figures.responses[Kind.MESSAGE, ResponseClass(name)] = number
        figures.failures[name] = number
    figures.slowest = 0.02
    for at in range(right + repeats):
        second = figures.second(at % 3)
        second.offered += 1
        second.sent += 1
        second.right += 1
        for times in (second.times, figures.times):
            histogram.record(times, 0.01)
    return made


def effects(ledgers, **changes):
    """The report of an observer that counted each valid message once, except for `changes`."""
    messages = sum(len(ledger.states) for ledger in ledgers)
    return replace(Effects(messages, messages), **changes)


def run(*ledgers, settings=SETTINGS, **changes):
    """A run in which all went well, except for what its ledgers and `changes` say."""
    ledgers = ledgers or (ledger(),)
    figures = ledgers[0].figures
    for other in ledgers[1:]:
        figures.add(other.figures)
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
