"""A record of what the suite reports for every peer of the gallery, to compare two builds. Pure.

A record holds the outcome of each rule and case, and the exit status, for each peer of each side. This
module does not know how a peer is served or judged.

In the file each side has its `usual` outcomes, which most of its peers share, and one line per peer
with the outcomes that differ: `rule[case]`, or `rule[*]` for every case of a rule. An outcome that
differed between looks is written with all values that were seen, as in `pass|skip`.
`schemas/selftest.schema.json` describes the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.model.errors import InputError
from conformance.model.report import EXIT_STATUS as STATUSES
from conformance.model.rules import Outcome, Verdict
from conformance.protocol.validation import problems

EXIT_STATUS = "exit status"
NOT_RUN = "none"
"""The exit status of a peer that could not run."""
ABSENT = "absent"
"""The outcome of a case that a peer does not have."""

SIDES = ("receiver", "sender")
EVERY_CASE = "[*]"
_EITHER = "|"
_NOT_JUDGED = frozenset({Outcome.ERROR.value, str(STATUSES[Verdict.ERROR])})

Outcomes = Mapping[str, str]
"""Name → outcome, from one look at one peer. The name is that of a result, or EXIT_STATUS."""

Row = Mapping[str, frozenset[str]]
"""Name → the outcomes that were seen, for one peer."""

Record = Mapping[str, Mapping[str, Row]]
"""Side → peer → row."""


@dataclass(frozen=True, slots=True)
class Look:
    """The outcomes of judging a peer once. `obstacle` says why it could not run; None if it ran."""

    outcomes: Outcomes
    obstacle: str | None = None


def not_run(obstacle: str) -> Look:
    """A look at a peer that could not run."""
    return Look({EXIT_STATUS: NOT_RUN}, obstacle)


@dataclass(frozen=True, slots=True)
class Difference:
    """One name whose outcome matches the record in no look: the recorded outcomes and those seen.

    `name` is None for a peer that only the record or only the gallery has. Then the side without the
    peer (`before` is the record) is empty, and the other holds only EXIT_STATUS.
    """

    peer: str
    name: str | None
    before: frozenset[str]
    after: frozenset[str]


def row(looks: Sequence[Look], alone: Sequence[Look] = ()) -> Row:
    """The outcomes seen in `looks` at one peer beside others, and in looks at it `alone`.

    Where the looks alone judged every case, what the others left unjudged was the machine's fault: it
    counts only for a case with no other outcome. A look in which the peer did not run counts no more.
    """
    run = [look for look in (*looks, *alone) if look.obstacle is None] or looks
    seen = {name: _seen(name, run) for name in _names(look.outcomes for look in run)}
    if alone and not any(_unjudged(look) for look in alone):
        seen = {name: outcomes - _NOT_JUDGED or outcomes for name, outcomes in seen.items()}
    return seen


def agree(looks: Sequence[Look]) -> bool:
    """Whether every look saw the same outcomes."""
    return all(look.outcomes == looks[0].outcomes for look in looks)


def differences(peer: str, expected: Row, looks: Sequence[Look]) -> list[Difference]:
    """The names that are as `expected` in none of `looks`, sorted, the exit status first.

    For a peer that ran on one side only, the exit status is the only difference. For a peer that leaves
    different cases unjudged from look to look, an unjudged case is no difference.
    """
    found = []
    tolerated = _NOT_JUDGED if any(map(_sometimes_unjudged, expected.values())) else frozenset()
    for name in sorted(_names([expected, *(look.outcomes for look in looks)]), key=_place):
        before, after = expected.get(name, frozenset({ABSENT})), _seen(name, looks)
        if not (before | tolerated) & after:
            found.append(Difference(peer, name, before, after))
    one_sided = found and NOT_RUN in found[0].before | found[0].after
    return found[:1] if one_sided else found


def peer_differences(
    recorded: Iterable[str], present: Iterable[str]
) -> Iterator[tuple[str, Difference]]:
    """The name and the difference of each peer that only the record or only the gallery has."""
    there, here = frozenset({EXIT_STATUS}), frozenset[str]()
    old, new = set(recorded), set(present)
    for peer in sorted(old ^ new):
        sides = (there, here) if peer in old else (here, there)
        yield peer, Difference(peer, None, *sides)


def as_text(record: Record) -> str:
    """The text of the file: sorted, with a line for each peer and for each usual outcome."""
    sides = [f'"{side}": {_side_as_text(record[side])}' for side in SIDES if record.get(side)]
    return "{\n" + ",\n".join(sides) + "\n}\n"


def parse(data: bytes) -> Record:
    """The record in the bytes of a file. Raises InputError, in one line, if they are not a record."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise InputError("is not JSON: {reason}", reason=str(fault)) from None
    wrong = problems("selftest", document)
    if wrong:
        raise InputError("is not a record of a self-test: {problem}", problem=wrong[0].sentence())
    return {side: _parse_side(document[side]) for side in SIDES if side in document}


def _names(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    return {name for each in rows for name in each}


def _seen(name: str, looks: Iterable[Look]) -> frozenset[str]:
    return frozenset(look.outcomes.get(name, ABSENT) for look in looks)


def _unjudged(look: Look) -> bool:
    return not _NOT_JUDGED.isdisjoint(look.outcomes.values())


def _sometimes_unjudged(outcomes: frozenset[str]) -> bool:
    return Outcome.ERROR in outcomes and len(outcomes) > 1


def _place(name: str) -> tuple[bool, str]:
    return name != EXIT_STATUS, name


def _side_as_text(rows: Mapping[str, Row]) -> str:
    usual = _usual(list(rows.values()))
    lines = (f"    {json.dumps(name)}: {json.dumps(usual[name])}" for name in usual)
    peers = (
        f"    {json.dumps(peer)}: {json.dumps(_unusual(rows[peer], usual))}"
        for peer in sorted(rows)
    )
    return (
        '{\n  "usual": {\n' + ",\n".join(lines) + '\n  },\n  "peers": {\n' + ",\n".join(peers)
    ) + "\n  }\n}"


def _usual(rows: Sequence[Row]) -> dict[str, str]:
    """The most frequent outcome of each name; among equals, the first in the alphabet."""
    run = [each for each in rows if not _is_not_run(each)] or rows
    found = {}
    for name in sorted(_names(run), key=_place):
        counted = Counter(_written(each, name) for each in run)
        found[name] = min(counted, key=lambda outcome: (-counted[outcome], outcome))
    return found


def _unusual(each: Row, usual: Mapping[str, str]) -> dict[str, str]:
    """The unusual outcomes of a row. A rule whose cases all have the same outcome is one entry."""
    if _is_not_run(each):
        return {EXIT_STATUS: NOT_RUN}
    rules: dict[str, list[str]] = {}
    for name in sorted({*each, *usual}, key=_place):
        rules.setdefault(_rule(name), []).append(name)
    found = {}
    for rule, names in rules.items():
        outcomes = {name: _written(each, name) for name in names}
        unusual = {
            name: outcome for name, outcome in outcomes.items() if outcome != usual.get(name)
        }
        whole = len(set(outcomes.values())) == 1 and all(name in usual for name in names)
        if whole and len(unusual) > 1:
            found[rule + EVERY_CASE] = outcomes[names[0]]
        else:
            found |= unusual
    return found


def _parse_side(document: Mapping[str, Any]) -> dict[str, Row]:
    return {
        peer: _parse_row(unusual, document["usual"]) for peer, unusual in document["peers"].items()
    }


def _parse_row(unusual: Mapping[str, str], usual: Mapping[str, str]) -> Row:
    if unusual.get(EXIT_STATUS) == NOT_RUN:
        return {EXIT_STATUS: frozenset({NOT_RUN})}
    outcomes = dict(usual)
    for name in usual:
        outcomes[name] = unusual.get(_rule(name) + EVERY_CASE, usual[name])
    outcomes |= {
        name: outcome for name, outcome in unusual.items() if not name.endswith(EVERY_CASE)
    }
    return {
        name: frozenset(outcome.split(_EITHER))
        for name, outcome in outcomes.items()
        if outcome != ABSENT
    }


def _written(each: Row, name: str) -> str:
    return _EITHER.join(sorted(each.get(name, {ABSENT})))


def _is_not_run(each: Row) -> bool:
    return each.get(EXIT_STATUS) == frozenset({NOT_RUN})


def _rule(name: str) -> str:
    return name.partition("[")[0]
