"""Invented load runs, for tests of the checks and the reports."""

from dataclasses import asdict, replace

from conformance.checks.receiver.load import AUDIT, LoadRun
from conformance.engine.rejudge import judge_again
from conformance.load import histogram
from conformance.load.figures import load_figures
from conformance.load.ledger import ACKNOWLEDGED, FORGED, REPEATED, VALID, Ledger
from conformance.load.settings import Settings
from conformance.model.exchange import Answer, Request, Role
from conformance.model.load import Kind, ResponseClass
from conformance.model.report import Result
from conformance.model.rules import Outcome
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from conformance.scenario.dialects import load
from conformance.scenario.load import built_in
from conformance.trace import Trace
from tests.trace.parts import exchange

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
    effect_timeout=10.0,
    strict=False,
    ca=None,
)
RULES = [each for each in built_in("receiver") if "load" in each.needs]


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
    figures.late = wrong.get("late", 0)
    figures.slowest = 0.02
    for at in range(right + repeats):
        second = figures.second(at % 3)
        second.offered += 1
        second.sent += 1
        second.right += 1
        for times in (second.times, figures.times):
            histogram.record(times, 0.01)
    return made


def observer(**changes):
    """What an audit found out that counted each valid message once, except for `changes`."""
    examples = {name: [] for name in ("lost", "doubled", "forged")} | changes.pop("examples", {})
    found = {"messages": 120, "unread": 0, "lost": 0, "doubled": 0, "forged": 0, "late": 0}
    found |= {"behind": 0.0, "waited": 11.0, "ended": "settled", "later": True}
    return found | changes | {"examples": examples}


def figures(*ledgers, settings=SETTINGS, missing_workers=0, **changes):
    """The figures of a run in which all went well, except for what its ledgers and `changes` say."""
    found = changes.pop("observer", observer())
    made = load_figures(settings, ledgers or (ledger(),), 3.0, missing_workers, found)
    return replace(made, **changes)


def sent(number, kind=Kind.MESSAGE, status=200, **changes):
    """A recorded request of the load."""
    answer = Answer(status, (), b"") if status is not None else None
    request = Request("POST", SETTINGS.url, (), b"{}")
    fields = {"role": Role.LOAD, "rule": None, "case": kind.value, "msg_id": str(number)}
    return exchange(id=number, answer=answer, request=request, **(fields | changes))


def observed(number, msg_id, count):
    """A recorded answer of the observer."""
    answer = Answer(200, (), b'{"count": %d}' % count)
    about = {"role": Role.OBSERVE, "rule": None, "case": AUDIT, "msg_id": str(msg_id)}
    return exchange(
        id=number, answer=answer, request=Request("GET", SETTINGS.url, (), b""), **about
    )


WELL = (
    sent(1),
    sent(2, Kind.REPEAT),
    sent(3, Kind.FORGERY, 401),
    observed(4, 1, 1),
    observed(5, 2, 1),
    observed(6, 3, 0),
)
"""What is recorded of a run in which all went well."""


def run(*ledgers, exchanges=WELL, **changes):
    """What the checks look at: such a run."""
    return LoadRun(figures(*ledgers, **changes), exchanges)


def report(*ledgers, exchanges=WELL, language=None, **changes):
    """The report of such a run, as its trace is judged."""
    made = figures(*ledgers, **changes)
    trace = Trace(exchanges)
    profile = asdict(SETTINGS.dialect)
    trace.run = {
        "hookproof": "0",
        "side": "receiver",
        "target": SETTINGS.url,
        "dialect": "guide",
        "spoken": "guide",
        "seed": 1,
        "verdict": "pass",
        "cause": [],
        "started": "2026-11-24T02:00:00Z",
        "seconds": 3.0,
        "epoch": 0.0,
        "complete": True,
        "strict": False,
        "headers": [],
        "redacted": False,
        "exchanges": {"total": len(exchanges), "cases": {"": len(exchanges)}},
        "load": asdict(made),
        "profile": {
            "url": SETTINGS.url,
            "requested": profile,
            "scheme": {"dialect": profile, "rewritten": None, "description": [], "decoded": None},
            "accepted": [200],
            "deadline": 5.0,
            "plain": "text",
            "observed": True,
            "inferred": None,
            "blind": None,
            "certificate": "",
            "refusal": [401, None],
        },
    }
    trace.rules = {scenario.rule.id: scenario.record for scenario in RULES}
    trace.results = tuple(
        Result(scenario.rule, None, scenario.rule.level, Outcome.ERROR, judged=True)
        for scenario in RULES
    )
    return judge_again(trace.stored(), None, **({"language": language} if language else {}))
