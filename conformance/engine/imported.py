"""Describes deliveries that another program captured as if a run had recorded them.

Only the rules that the wire alone shows can be judged; the others need a sender that can be driven.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from conformance import __version__
from conformance.checks.check import by_name
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.recorded_profile import as_data
from conformance.checks.sender.signing import scheme_of, signature_of
from conformance.checks.sender.wire import CHECKS, deliveries
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.result import Result
from conformance.model.rules import Outcome
from conformance.model.sentence import Sentence
from conformance.options.secrets import other_secret
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.signing import Signer
from conformance.scenario.load import built_in
from conformance.scenario.records import Scenario

MOST_PROBES = 50
"""Signed deliveries that are examined at most to learn how the sender signs."""


def describe_capture(
    exchanges: Sequence[Exchange], place: str, secret: Secret | None, dialect: Dialect
) -> tuple[dict[str, Any], list[Scenario], list[Result]]:
    """The metadata that a run would have stored (`schemas/run.schema.json`), the rules, and one result
    for each rule: marked as judged where the rule can be judged again, else with the reason why not.

    `place` names the capture in messages. Raises InputError when there are no deliveries.
    """
    captured = deliveries(exchanges)
    if not captured:
        raise InputError(
            "{place}: contains neither a run nor deliveries of a sender: see docs/traces.md",
            place=place,
        )
    profile = _profile(captured, secret, dialect)
    began, ended = captured[0].started, max(delivery.ended for delivery in captured)
    run: dict[str, Any] = {
        "hookproof": __version__,
        "side": "sender",
        "target": captured[0].request.url or place,
        "dialect": dialect.name,
        "spoken": profile.scheme.signer.dialect.name if profile.scheme is not None else None,
        "seed": 0,
        "verdict": "error",
        "cause": [],
        "started": datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": ended - began,
        "epoch": 0.0,
        "complete": True,
        "strict": False,
        "headers": [],
        "redacted": False,
        "exchanges": None,
        "profile": as_data(profile),
    }
    rules = [scenario for scenario in built_in("sender") if scenario.check in by_name(CHECKS)]
    return run, rules, [_result(scenario, captured, secret, profile) for scenario in rules]


def _profile(
    captured: Sequence[Exchange], secret: Secret | None, dialect: Dialect
) -> SenderProfile:
    requested = Signer(dialect, secret or Secret(b""))
    scheme = None
    if secret is not None:
        probes = islice(_verifiable(captured, dialect), MOST_PROBES)
        schemes = (scheme_of(delivery, requested) for delivery in probes)
        scheme = next((scheme for scheme in schemes if scheme is not None), None)
    return SenderProfile(
        requested=requested, other_secret=other_secret(requested.secret), scheme=scheme
    )


def _verifiable(captured: Sequence[Exchange], dialect: Dialect) -> Iterator[Exchange]:
    """The signed deliveries of which nothing is masked."""
    return (each for each in captured if signature_of(each, dialect) and not each.masked)


def _result(
    scenario: Scenario, captured: Sequence[Exchange], secret: Secret | None, profile: SenderProfile
) -> Result:
    def unjudged(outcome: Outcome, code: str, reason: Sentence) -> Result:
        return Result(scenario.rule, None, scenario.rule.level, outcome, reason, code=code)

    if scenario.check == "wire-timestamp-fresh" and all(each.clock is None for each in captured):
        return unjudged(Outcome.SKIP, "needs-time", _NEEDS_TIME)
    scheme_unknown = secret is not None and profile.scheme is None
    verifiable = any(_verifiable(captured, profile.requested.dialect))
    if scenario.check == "wire-signature" and scheme_unknown and verifiable:
        return unjudged(Outcome.ERROR, "unknown-scheme", _UNKNOWN_SCHEME)
    return Result(scenario.rule, None, scenario.rule.level, Outcome.ERROR, judged=True)


_NEEDS_TIME = Sentence("needs to know when each delivery arrived (`time`)")
_UNKNOWN_SCHEME = Sentence(
    "not judged: no signature matches any known scheme: the secret is another one, the "
    "bodies are not the original bytes, or the sender uses a scheme that the suite does "
    "not know"
)
