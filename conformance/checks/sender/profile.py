"""What the preflight learnt about the sender, before anything is judged, and how long to wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any

from conformance.checks.recorded_scheme import read_dialect, read_scheme, scheme_data
from conformance.model.exchange import Exchange
from conformance.options.secrets import other_secret
from conformance.protocol.dialect import Secret
from conformance.protocol.schemes import Scheme
from conformance.protocol.signing import Signer

ARRIVAL = 10.0
"""Seconds within which a first attempt begins, unless the sender was seen to take longer."""
UNDER_WAY = 8.0
"""Seconds for which an unanswered attempt is watched: no deadline is longer than 5."""
QUIET = 1.0
"""The fewest seconds without an attempt after which none is expected any more."""
SHORTEST = 1.5
"""The fewest seconds for which the absence of a further attempt is watched."""
PATIENT = 5.0
"""The fewest seconds within which a required attempt must begin: only its absence costs the time."""
REFUSED = 0.2
LONGEST = 90.0
MOST_STEPS = 64
"""Attempts after which the expected wait grows no more: it is LONGEST long before."""
STEEP, STEEPEST = 4.0, 12.0
"""The largest factors by which waits are assumed to grow, judging by the growth that was seen: where no
further attempt may come, and where one must."""


@dataclass(frozen=True, slots=True)
class SenderProfile:
    """What every judgement about a sender rests on.

    `requested` signs in the dialect of the options, with the secret of the configurations; `scheme` is
    how the sender was seen to sign (None: in no known way); `other_secret` is that of other endpoints.
    `latency` is the seconds that a first attempt took; `waits` are the seconds waited after the first
    failure and after the second (empty: no retry was seen within `retry_watch` seconds).
    `lists_several` and `delivers_several` say whether it stores more than one configuration, and serves
    them all; `isolates` whether an endpoint that hangs delays no other; `tests_by_id` whether Test uses
    the configuration that it names; `lists_types` whether it supports lists of message types, and not
    only "*". `lists` says whether List was seen to show a configuration, and `reports_tests` whether Test
    was seen to report success.
    """

    requested: Signer
    other_secret: Secret
    scheme: Scheme | None = None
    latency: float = 0.0
    waits: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    retry_watch: float = 0.0
    emits: bool = False
    lists_several: bool = False
    delivers_several: bool = False
    isolates: bool = False
    tests_by_id: bool = False
    deletes: bool = True
    lists_types: bool = True
    lists: bool = False
    reports_tests: bool = False

    @property
    def retries(self) -> bool:
        """Whether it was seen to retry after a failure."""
        return bool(self.waits[0])

    @property
    def arrival(self) -> float:
        """Seconds within which a first attempt must begin."""
        return max(ARRIVAL, 3 * self.latency)

    @property
    def quiet(self) -> float:
        """Seconds after which a message is believed not to arrive at all."""
        return QUIET + 3 * self.latency

    @property
    def refusal(self) -> float:
        """Seconds for which an endpoint refuses connections: long enough to meet the first attempt."""
        return REFUSED + 3 * self.latency

    def outlasts_refusal(self, retry_count: int) -> bool:
        """Whether `retry_count` retries last until an endpoint stops refusing, even if all waits are as
        short as the first."""
        firsts = self.waits[0]
        return bool(firsts) and retry_count * min(firsts) > self.refusal + REFUSED / 2

    def wait(self, attempt: int) -> float:
        """The expected wait after failed attempt number `attempt`, in seconds."""
        return self._wait(attempt, STEEP)

    def _wait(self, attempt: int, steepest: float) -> float:
        firsts, seconds = self.waits
        if not firsts:
            return 0.0
        growth = median(seconds) / median(firsts) if seconds and median(firsts) > 0 else 2.0
        factor = min(steepest, max(2.0, growth)) ** min(attempt - 1, MOST_STEPS)
        return float(min(LONGEST, max(firsts) * factor))

    def patience(self, attempt: int) -> float:
        """Seconds within which the next attempt must begin after number `attempt` has failed: computed
        from the waits that were seen, as if they at least kept doubling. Generous, since only an attempt
        that does not come costs the time."""
        return max(PATIENT, 2 * self._wait(attempt, STEEPEST) + 1.0)

    def quiet_after(self, attempt: int) -> float:
        """Seconds after which attempt number `attempt` is believed to be the last: judging by the waits
        before it, another would have come by then."""
        return max(SHORTEST, 1.25 * self.wait(attempt) + 0.5)

    def due(self, attempts: Sequence[Exchange], emitted: float, most: int | None) -> float:
        """The monotonic time by which the next attempt for a message emitted at `emitted` must have begun,
        or, after `most` attempts, until which the absence of another is watched."""
        if not attempts:
            return emitted + self.arrival
        last = attempts[-1]
        if under_way(last):
            return last.sent + UNDER_WAY
        delay = retry_after(last)
        if most is None or len(attempts) < most:
            return last.ended + delay + self.patience(len(attempts))
        return max(emitted + self.quiet, last.ended + delay + self.quiet_after(len(attempts)))


def under_way(attempt: Exchange) -> bool:
    """Whether an attempt has not ended yet."""
    return attempt.answer is None and attempt.fault is None


def retry_after(attempt: Exchange) -> float:
    """The seconds for which the mock's answer asked the sender to wait."""
    if attempt.answer is None or attempt.answer.status == 200:
        return 0.0
    values = [value for name, value in attempt.answer.headers if name.lower() == b"retry-after"]
    return float(values[0]) if values and values[0].isdigit() else 0.0


_SECRET = ("requested", "other_secret", "scheme")
"""Fields of SenderProfile that contain a secret."""


def as_data(profile: SenderProfile) -> dict[str, Any]:
    """`profile` as JSON values, as `schemas/run.schema.json` describes them."""
    plain = [field.name for field in fields(profile) if field.name not in _SECRET]
    return {
        "requested": asdict(profile.requested.dialect),
        "scheme": scheme_data(profile.scheme) if profile.scheme is not None else None,
        **{name: getattr(profile, name) for name in plain},
    }


def from_data(data: dict[str, Any], secret: Secret) -> SenderProfile:
    """The profile in `data`, which fits `schemas/run.schema.json`, with the `secret` of the suite's
    configurations (empty when it is not known)."""
    firsts, seconds = data["waits"]
    scheme = data["scheme"]
    return SenderProfile(
        **{
            **data,
            "requested": Signer(read_dialect(data["requested"]), secret),
            "scheme": read_scheme(scheme, secret) if scheme is not None else None,
            "other_secret": other_secret(secret),
            "waits": (tuple(firsts), tuple(seconds)),
        }
    )
