"""What is known of deliveries that somebody else recorded: as if a run had left them.

Only the rules are judged that the wire alone shows; the others need a sender that can be driven.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from conformance import __version__
from conformance.checks.sender.profile import SenderProfile
from conformance.checks.sender.recorded_profile import as_data
from conformance.checks.sender.signing import scheme_of, signature_of
from conformance.checks.sender.wire import WIRE_CHECKS, deliveries
from conformance.model.errors import InputError
from conformance.model.exchange import Exchange
from conformance.model.result import Result
from conformance.model.rules import Outcome
from conformance.model.text import Text
from conformance.options.secrets import other_secret
from conformance.protocol.dialect import Dialect, Secret
from conformance.protocol.tampering import Signer
from conformance.scenario.load import built_in
from conformance.scenario.records import Scenario

TRIED = 50
"""Signed deliveries of which one must show how the sender signs."""


def about_capture(
    exchanges: Sequence[Exchange], place: str, secret: Secret | None, dialect: Dialect
) -> tuple[dict[str, Any], list[Scenario], list[Result]]:
    """What a trace would say of its run, the rules, and a result for each that is still to be judged,
    or says why it cannot be. Raises InputError when there are no deliveries."""
    came = deliveries(exchanges)
    if not came:
        raise InputError(
            f"{place}: no delivery of a sender stands in it, and no run: see docs/traces.md"
        )
    profile = _profile(came, secret, dialect)
    began, ended = came[0].started, max(each.ended for each in came)
    run: dict[str, Any] = {
        "hookproof": __version__,
        "side": "sender",
        "target": came[0].request.url or place,
        "dialect": dialect.name,
        "spoken": profile.scheme.signer.dialect.name if profile.scheme is not None else None,
        "seed": 0,
        "verdict": "error",
        "cause": {"en": "", "zh": ""},
        "started": datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": ended - began,
        "epoch": 0.0,
        "complete": True,
        "strict": False,
        "headers": [],
        "redacted": False,
        "facts": as_data(profile),
    }
    rules = [each for each in built_in("sender") if each.check in WIRE_CHECKS]
    return run, rules, [_result(each, came, secret, profile) for each in rules]


def _profile(came: Sequence[Exchange], secret: Secret | None, dialect: Dialect) -> SenderProfile:
    asked = Signer(dialect, secret or Secret(b""))
    scheme = None
    if secret is not None:
        signed = (each for each in came if signature_of(each, dialect) and not each.masked)
        seen = (scheme_of(each, asked) for each in islice(signed, TRIED))
        scheme = next((each for each in seen if each is not None), None)
    return SenderProfile(asked=asked, other_secret=other_secret(asked.secret), scheme=scheme)


def _result(
    scenario: Scenario, came: Sequence[Exchange], secret: Secret | None, profile: SenderProfile
) -> Result:
    def unjudged(outcome: Outcome, why: Text) -> Result:
        return Result(scenario.rule, None, scenario.rule.level, outcome, why)

    if scenario.check == "wire-timestamp-fresh" and all(each.clock is None for each in came):
        return unjudged(Outcome.SKIP, _NEEDS_TIME)
    if scenario.check == "wire-signature" and secret is not None and profile.scheme is None:
        signed = any(signature_of(e, profile.asked.dialect) and not e.masked for e in came)
        if signed:
            return unjudged(Outcome.ERROR, _FITS_NOTHING)
    return Result(scenario.rule, None, scenario.rule.level, Outcome.ERROR, judged=True)


_NEEDS_TIME = Text(
    "needs to know when each delivery arrived (`time`)", "需要知道每次投遞的到達時間（`time`）"
)
_FITS_NOTHING = Text(
    "not judged: no signature fits in any way that is known: another secret, bodies that are not as "
    "they came, or a scheme that the suite does not know",
    "未判定：沒有任何簽名與已知方式吻合：可能密鑰不同、請求體並非原始位元組，或是未知的簽名方式",
)
