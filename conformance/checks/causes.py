"""One cause, one finding: what a root cause breaks everywhere is told once, and judged past."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks.case import Judgement
from conformance.checks.facts import Facts
from conformance.rules import Finding, Level, Unjudged
from conformance.text import Text

RAW_BYTES = "receiver.signature.raw-bytes"


def past(rule: str, first: bool, found: Sequence[Judgement], facts: Facts) -> list[Judgement]:
    """`found` for one case of `rule`, seen past a signature that is taken over rewritten JSON.

    The `first` case of raw-bytes carries the finding; what else the same cause breaks is not
    judged.
    """
    if facts.scheme.rewritten is None:
        return list(found)
    if rule == RAW_BYTES and first:
        message = (
            Text("the signature is checked over ", "簽名是對")
            + facts.scheme.said
            + Text(", not over the bytes as received", "計算的，而不是對收到的原始位元組")
        )
        return [Finding(Level.MUST, message)]
    if rule == RAW_BYTES:
        return [Unjudged(Text(f"the same cause as {RAW_BYTES}", f"與 {RAW_BYTES} 原因相同"))]
    return list(found)
