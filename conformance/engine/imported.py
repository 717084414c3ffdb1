"""Describes deliveries that another program captured as if a run had recorded them.

Only the rules that the wire alone shows can be judged; the others need a sender that can be driven.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from conformance import __version__
from conformance.checks.check import by_name
from conformance.checks.sender.profile import SenderProfile, as_data
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
    exchanges: Iterable[Exchange], place: str, secret: Secret | None, dialect: Dialect
) -> tuple[dict[str, Any], list[Scenario], list[Result]]:
    """The metadata that a run would have stored (`schemas/run.schema.json`), the rules, and one result
    for each rule: marked as judged where the rule can be judged again, else with the reason why not.

    `place` names the capture in messages. Raises InputError when there are no deliveries.
    """
    captured = _Capture(exchanges, dialect)
    if captured.first is None:
        raise InputError(
            "{place}: contains neither a run nor deliveries of a sender: see docs/traces.md",
            place=place,
        )
    profile = _profile(captured, secret, dialect)
    began = captured.first.started
    run: dict[str, Any] = {
        "hookproof": __version__,
        "side": "sender",
        "target": captured.first.request.url or place,
        "dialect": dialect.name,
        "spoken": profile.scheme.signer.dialect.name if profile.scheme is not None else None,
        "seed": 0,
        "verdict": "error",
        "cause": [],
        "started": datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": captured.ended - began,
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


class _Capture:
    """What is known of the deliveries among `exchanges`, which are read once."""

    def __init__(self, exchanges: Iterable[Exchange], dialect: Dialect) -> None:
        self.first: Exchange | None = None
        self.ended = 0.0
        self.timed = False
        self.probes: list[Exchange] = []
        """The first signed deliveries of which nothing is masked."""
        for exchange in exchanges:
            for delivery in deliveries([exchange]):
                self.first = self.first or delivery
                self.ended = max(self.ended, delivery.ended)
                self.timed = self.timed or delivery.clock is not None
                enough = len(self.probes) == MOST_PROBES
                if not enough and not delivery.masked and signature_of(delivery, dialect):
                    self.probes.append(delivery)


def _profile(captured: _Capture, secret: Secret | None, dialect: Dialect) -> SenderProfile:
    requested = Signer(dialect, secret or Secret(b""))
    scheme = None
    if secret is not None:
        schemes = (scheme_of(delivery, requested) for delivery in captured.probes)
        scheme = next((scheme for scheme in schemes if scheme is not None), None)
    return SenderProfile(
        requested=requested, other_secret=other_secret(requested.secret), scheme=scheme
    )


def _result(
    scenario: Scenario, captured: _Capture, secret: Secret | None, profile: SenderProfile
) -> Result:
    def unjudged(outcome: Outcome, code: str, reason: Sentence) -> Result:
        return Result(scenario.rule, None, scenario.rule.level, outcome, reason, code=code)

    if scenario.check == "wire-http":
        return unjudged(Outcome.SKIP, "needs-bytes", _NEEDS_BYTES)
    if scenario.check == "wire-timestamp-fresh" and not captured.timed:
        return unjudged(Outcome.SKIP, "needs-time", _NEEDS_TIME)
    scheme_unknown = secret is not None and profile.scheme is None
    if scenario.check == "wire-signature" and scheme_unknown and captured.probes:
        return unjudged(Outcome.ERROR, "unknown-scheme", _UNKNOWN_SCHEME)
    return Result(scenario.rule, None, scenario.rule.level, Outcome.ERROR, judged=True)


_NEEDS_TIME = Sentence("needs to know when each delivery arrived (`time`)")
_NEEDS_BYTES = Sentence("needs the bytes of each request, which a capture does not hold")
_UNKNOWN_SCHEME = Sentence(
    "not judged: no signature matches any known scheme: the secret is another one, the "
    "bodies are not the original bytes, or the sender uses a scheme that the suite does "
    "not know"
)
