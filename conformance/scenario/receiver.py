"""Scenario files: YAML to frozen records, with file and line in every error.

Knows the format (`schemas/scenario.schema.json`) and nothing of how a step is carried out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from conformance.model.errors import InputError
from conformance.model.exchange import Transport
from conformance.model.rules import Level, Rule
from conformance.model.text import Text
from conformance.protocol.message import build
from conformance.protocol.resources import folder
from conformance.protocol.validation import problems
from conformance.scenario import sender as emission
from conformance.scenario import yaml_file
from conformance.scenario.sender import NOTHING, SenderCase

MOST_NODES, DEEPEST = 100_000, 100
"""Values and levels that a scenario file may unfold to."""


@dataclass(frozen=True, slots=True)
class Send:
    """One request, or many alike; see the schema for what each word means."""

    message: str = "plain"
    fields: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    content_size: int | None = None
    form: str = "compact"
    body: str | None = None
    edit: str | None = None
    timestamp: str | None = None
    damage: str | None = None
    signature_of: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    header_case: str | None = None
    method: str = "POST"
    transport: Transport = Transport.POOLED
    name: str | None = None
    again: str | None = None
    exact: bool = False
    id_of: str | None = None
    copies: int = 1
    messages: int = 1
    at_once: bool = False
    last: int | None = None
    background: bool = False
    other_instance: bool = False


@dataclass(frozen=True, slots=True)
class Expect:
    """What must be seen of a step; `level` is how grave it is when it is not. With `or_skip` the
    case is then not judged: the step only shows that what follows can tell something."""

    level: Level
    or_skip: bool = False
    status: tuple[str | int, ...] = ()
    within: float | None = None
    processed: int | Literal["unchanged"] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case: exactly one of `send`, `resend`, `restart`, `observe` and `pause`."""

    send: Send | None = None
    resend: bool = False
    restart: bool = False
    observe: str | None = None
    pause: float = 0.0
    expects: tuple[Expect, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a rule; `name` is None where the rule has only one. A receiver's case has steps,
    a sender's has a `sender_case`."""

    name: str | None
    level: Level
    steps: tuple[Step, ...] = ()
    sender_case: SenderCase = NOTHING

    @property
    def acts(self) -> bool:
        """Whether there is anything to carry out."""
        return bool(self.steps or self.sender_case.actions)

    @property
    def refusing(self) -> bool:
        """Whether it expects a refusal, which counts only beside accepted plain messages."""
        words = {word for step in self.steps for expect in step.expects for word in expect.status}
        return bool(words & {"refused", "4xx"})

    @property
    def counting(self) -> bool:
        """Whether it expects a number of effects."""
        return any(expect.processed is not None for step in self.steps for expect in step.expects)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A rule and how it is judged: by the steps of its cases, by a named check over the exchanges of
    other rules (`over`), by both, or by examples that are drawn (`fuzz` says of which kind). `record`
    is what stands in its file."""

    rule: Rule
    cases: tuple[Case, ...]
    place: str
    record: Mapping[str, Any] = field(repr=False, compare=False, hash=False)
    needs: tuple[str, ...] = ()
    alone: bool = False
    on_request: bool = False
    over: tuple[str, ...] = ()
    check: str | None = None
    fuzz: str | None = None


@cache
def built_in(side: str) -> tuple[Scenario, ...]:
    """The scenarios that ship with Hookproof for `side` ("receiver" or "sender")."""
    place = folder("scenarios")
    return tuple(
        scenario
        for path in sorted((place / side).glob("*.yaml"))
        # Its tests hold them to the schema; a user's start-up need not.
        for scenario in _scenarios(
            yaml_file.read(path, "scenario"), path, str(path.relative_to(place.parent))
        )
    )


def load(
    side: str, folders: Iterable[Path] = (), files: Iterable[Path] = ()
) -> tuple[Scenario, ...]:
    """The built-in scenarios for `side` and the user's own, in files or in folders of YAML files.

    Raises InputError, with file and line, for the first mistake.
    """
    every = list(built_in(side))
    paths = list(files)
    for place in folders:
        found = sorted([*place.rglob("*.yaml"), *place.rglob("*.yml")])
        if not found and not place.is_file():
            raise InputError(f"--scenarios: there is no YAML file, or folder of them, at {place}")
        paths += found or [place]
    for path in paths:
        every += [own for own in read(path) if own.rule.id.startswith(f"{side}.")]
    homes: dict[str, str] = {}
    for scenario in every:
        if scenario.rule.id in homes:
            raise InputError(
                f"{scenario.place}: the rule {scenario.rule.id} stands in {homes[scenario.rule.id]} "
                "already: give this one an id of its own"
            )
        homes[scenario.rule.id] = scenario.place
    return tuple(every)


def read(path: Path) -> tuple[Scenario, ...]:
    """The scenarios of one file that somebody else wrote. Raises InputError with file and line."""
    data = yaml_file.read(path, "scenario")
    _check_size(data, path)
    wrong = problems("scenario", data)
    if wrong:
        raise InputError(f"{path}:{_line(path, wrong[0].path)}: {wrong[0]}")
    found = tuple(_scenarios(data, path, str(path)))
    for each in found:
        _check_sense(each)
    return found


def recorded(records: Iterable[Mapping[str, Any]], place: str) -> tuple[Scenario, ...]:
    """The scenarios in `records`, which were kept at `place`. Raises InputError for one that is none."""
    data = {"rules": list(records)}
    _check_size(data, Path(place))
    wrong = problems("scenario", data)
    if wrong:
        raise InputError(f"{place}: {wrong[0]}")
    found = tuple(_scenario(each, place) for each in data["rules"])
    for scenario in found:
        _check_sense(scenario)
    return found


def select(
    scenarios: Iterable[Scenario], globs: Iterable[str], more: str = ""
) -> tuple[Scenario, ...]:
    """The scenarios whose rule fits one of `globs`; all but those on request when there is none.

    A glob names a rule that runs only on request when it stands there in full, or up to a `*` after
    that rule's own name. Raises InputError for a glob that fits nothing; `more` is then said as well.
    """
    every, wanted = list(scenarios), list(globs)
    if not wanted:
        return tuple(each for each in every if not each.on_request)
    chosen: dict[str, Scenario] = {}
    for pattern in wanted:
        fitting = [each for each in every if fnmatchcase(each.rule.id, pattern)]
        if not fitting:
            hint = meant(pattern, [each.rule.id for each in every])
            raise InputError(
                f"--rules: no rule fits {pattern!r}{hint} (see `hookproof rules`{more})"
            )
        for each in fitting:
            if not each.on_request or each.rule.id == pattern:
                chosen[each.rule.id] = each
    return tuple(each for each in every if each.rule.id in chosen)


def meant(pattern: str, ids: list[str]) -> str:
    """A hint at the glob that `pattern` may have been meant for: one that fits, or the nearest."""
    sides = dict.fromkeys(each.partition(".")[0] for each in ids)
    prefixed = [f"{side}.{pattern}{more}" for side in sides for more in ("", ".*")]
    for whole in (f"{pattern}*", f"{pattern}.*", *prefixed):
        if any(fnmatchcase(each, whole) for each in ids):
            return f"; did you mean {whole}?"
    groups = {each.rsplit(".", 1)[0] + ".*" for each in ids} | {
        each.split(".")[0] + ".*" for each in ids
    }
    near = get_close_matches(pattern, [*sorted(groups), *ids], n=1, cutoff=0.4)
    return f"; did you mean {near[0]}?" if near else ""


def _check_size(data: Any, path: Path) -> None:
    """Refuse what a few lines of aliases can make endlessly large or deep. Raises InputError."""
    waiting, seen = [(data, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if seen > MOST_NODES or depth > DEEPEST:
            raise InputError(
                f"{path}: the file unfolds to more than {MOST_NODES:,} values, or deeper than "
                f"{DEEPEST} levels: write it without so many aliases"
            )
        inner = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        waiting += [(each, depth + 1) for each in inner]


def _scenarios(data: Any, path: Path, place: str) -> Iterable[Scenario]:
    for index, record in enumerate(data["rules"]):
        where = f"{place}:{_line(path, f'rules[{index}]')}" if place == str(path) else place
        yield _scenario(record, where)


def _scenario(record: Mapping[str, Any], place: str) -> Scenario:
    level = Level(record["level"])
    rule = Rule(
        id=record["rule"],
        level=level,
        source=record.get("source"),
        title=_text(record["title"]),
        why=_text(record.get("why", "")),
        fix=_text(record.get("fix", "")),
    )
    named = record.get("cases")
    try:
        if named:
            cases = [_case(name, words or {}, record, level) for name, words in named.items()]
        else:
            cases = [_case(None, {}, record, level)]
    except InputError as wrong:
        raise InputError(f"{place}: {rule.id}: {wrong}") from None
    scenario = Scenario(
        rule=rule,
        cases=tuple(cases),
        place=place,
        record=record,
        needs=tuple(dict.fromkeys([*record.get("needs", ()), *_implied(cases)])),
        alone=record.get("alone", False),
        on_request=record.get("on-request", False),
        over=tuple(record.get("over", ())),
        check=record.get("check"),
        fuzz=record.get("fuzz"),
    )
    judged = scenario.check is not None or scenario.fuzz is not None
    if not judged and not all(case.acts for case in cases):
        raise InputError(
            f"{place}: {rule.id}: every case needs `steps`, or the rule needs a `check`"
        )
    return scenario


def _case(
    name: str | None, words: Mapping[str, Any], record: Mapping[str, Any], level: Level
) -> Case:
    """The case that `words` describe, where they complete what the rule's `record` says for all."""
    level = Level(words.get("level", level))
    if record["rule"].startswith("sender."):
        return Case(name, level, sender_case=emission.read(words, record, level))
    steps = [dict(step) for step in words.get("steps", record.get("steps", ()))]
    sends = [step for step in steps if "send" in step]
    if sends:
        sends[-1]["send"] = {**sends[-1]["send"], **words.get("send", {})}
    return Case(name, level, tuple(parse_step(step, level) for step in steps))


def parse_step(words: Mapping[str, Any], level: Level) -> Step:
    """The step in `words` that fit the schema; what it expects is of `level` unless it says more."""
    expects = words.get("expect", [])
    return Step(
        send=_send(words["send"]) if "send" in words else None,
        resend="resend" in words,
        restart=words.get("restart", False),
        observe=words.get("observe"),
        pause=words.get("pause", 0.0),
        expects=tuple(
            _expect(each, level) for each in (expects if isinstance(expects, list) else [expects])
        ),
    )


def _implied(cases: Iterable[Case]) -> Iterable[str]:
    """What steps need that cannot be carried out without it."""
    for case in cases:
        for step in case.steps:
            if step.restart:
                yield "restart"
            if step.send is not None and step.send.other_instance:
                yield "also-url"
        yield from case.sender_case.needs


_RENAMED = {
    "with": "fields",
    "as": "name",
    "content-size": "content_size",
    "signature-of": "signature_of",
    "header-case": "header_case",
    "id-of": "id_of",
    "at-once": "at_once",
}


def _send(words: Mapping[str, Any]) -> Send:
    given = {_RENAMED.get(word, word): value for word, value in words.items()}
    if "without" in given:
        given["without"] = tuple(given["without"])
    if "transport" in given:
        given["transport"] = Transport(given["transport"])
    if given.pop("to", None):
        given["other_instance"] = True
    return Send(**given)


def _expect(words: Mapping[str, Any], level: Level) -> Expect:
    status = words.get("status", [])
    return Expect(
        level=Level(words.get("level", level)),
        or_skip=words.get("otherwise") == "skip",
        status=tuple(status) if isinstance(status, list) else (status,),
        within=words.get("within"),
        processed=words.get("processed"),
    )


def _text(words: str | Mapping[str, str]) -> Text:
    if isinstance(words, str):
        return Text(words.strip(), words.strip())
    return Text(words["en"].strip(), words.get("zh-Hant", words["en"]).strip())


def _check_sense(scenario: Scenario) -> None:
    """What the schema cannot say: words that need or exclude each other, and names that must be
    given before they are spoken of. Raises InputError."""
    for case in scenario.cases:
        known: set[str] = set()
        for step in case.steps:
            try:
                _check_step(step, known)
            except InputError as wrong:
                raise InputError(f"{scenario.place}: {scenario.rule.id}: {wrong}") from None


def _check_step(step: Step, known: set[str]) -> None:
    """`known` are the names of earlier steps; the step's own is added."""
    verbs = [step.send is not None, step.resend, step.restart, step.observe is not None]
    if sum([*verbs, step.pause > 0]) != 1:
        raise InputError("a step has one of `send`, `resend`, `restart`, `observe` and `pause`")
    if step.expects and (step.restart or step.pause):
        raise InputError("`restart` and `pause` show nothing: expect it of the next step")
    if step.observe is not None:
        _check_known(step.observe, known)
    if step.send is not None:
        _check_send(step.send, known)
        if step.send.name is not None:
            known.add(step.send.name)


def _check_send(send: Send, known: set[str]) -> None:
    for name in (send.again, send.id_of, send.signature_of):
        if name is not None:
            _check_known(name, known)
    if send.again is None and (send.exact or send.last):
        raise InputError("`exact` and `last` go with `again`")
    made = send.fields or send.without or send.content_size or send.edit or send.form != "compact"
    if send.body is not None and made:
        raise InputError("`body` is sent as it stands: leave out the words that make a message")
    unknown = set(send.without) - set(build("text", "0", 0).fields()) - set(send.fields)
    if unknown:
        raise InputError(f"`without` names {min(unknown)!r}, which is no field of a message")
    for name, value in send.fields.items():
        if not _is_json(value):
            raise InputError(f"`with` gives {name} the value {value}, which JSON lacks: quote it")


def _check_known(name: str, known: set[str]) -> None:
    if name not in known:
        hint = f"known here: {', '.join(sorted(known))}" if known else "none is named"
        raise InputError(
            f"no earlier step is called {name!r} ({hint}); name it there with `as: {name}`"
        )


def _is_json(value: object) -> bool:
    match value:
        case dict():
            return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
        case list():
            return all(map(_is_json, value))
        case _:
            return value is None or isinstance(value, str | int | float)


def _line(path: Path, where: str) -> int:
    """The line in which `where` (as in `rules[3].steps[0].send.form`) stands, as far as it is there."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml_file.LOADER)
    line: int = node.start_mark.line + 1 if node is not None else 1
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", where):
        if index and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            node = node.value[int(index)]
        elif isinstance(node, yaml.MappingNode):
            pairs = [(name, value) for name, value in node.value if name.value == key]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
            continue
        else:
            break
        line = node.start_mark.line + 1
    return line
