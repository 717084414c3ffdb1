"""Loads and selects scenarios: YAML files to frozen records, with file and line in every error.

Knows the format of the files (`schemas/scenario.schema.json`) and the folders they are in; the words of a
case are read by `receiver` and `sender`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from conformance.model.errors import InputError
from conformance.model.rules import Level, Rule
from conformance.model.sentence import EMPTY, Sentence
from conformance.model.text import Text
from conformance.protocol.resources import folder
from conformance.protocol.validation import problems
from conformance.scenario import sender, yaml_file
from conformance.scenario.receiver import check_steps, parse_step
from conformance.scenario.records import Case, Scenario

MOST_NODES, DEEPEST = 100_000, 100
"""The most values and levels that a scenario file may expand to."""


@cache
def built_in(side: str) -> tuple[Scenario, ...]:
    """The scenarios that ship with Hookproof for `side` ("receiver" or "sender")."""
    place = folder("scenarios")
    return tuple(
        scenario
        for path in sorted((place / side).glob("*.yaml"))
        # Not validated: the tests do that, and start-up must be fast.
        for scenario in _scenarios(
            yaml_file.read(path, "scenario"), path, str(path.relative_to(place.parent))
        )
    )


@cache
def group_titles() -> Mapping[str, Mapping[str, Text]]:
    """side → group of its rules → the group's title. A user's own group has none."""
    titles = yaml_file.read(folder("scenarios") / "groups.yaml", "scenario")
    return {
        side: {name: _text(words) for name, words in groups.items()}
        for side, groups in titles.items()
    }


def load(
    side: str, folders: Iterable[Path] = (), files: Iterable[Path] = ()
) -> tuple[Scenario, ...]:
    """The built-in scenarios for `side` and the user's own, in files or in folders of YAML files.

    Raises InputError, with file and line, for the first mistake.
    """
    scenarios = list(built_in(side))
    paths = list(files)
    for place in folders:
        inside = sorted([*place.rglob("*.yaml"), *place.rglob("*.yml")])
        if not inside and not place.is_file():
            raise InputError(
                "--scenarios: there is no YAML file, or folder of them, at {place}",
                place=str(place),
            )
        paths += inside or [place]
    for path in paths:
        scenarios += [own for own in read(path) if own.rule.id.startswith(f"{side}.")]
    places: dict[str, str] = {}
    for scenario in scenarios:
        if scenario.rule.id in places:
            raise InputError(
                "{place}: the rule {rule} is already defined in {places}: give this one another id",
                place=scenario.place,
                rule=scenario.rule.id,
                places=places[scenario.rule.id],
            )
        places[scenario.rule.id] = scenario.place
    for scenario in scenarios:
        exempt = (name.partition("[")[0] for name in scenario.exempt)
        others = (*scenario.after, *exempt, scenario.explained_by or scenario.rule.id)
        unknown = [rule for rule in others if rule not in places]
        if unknown:
            raise InputError(
                "{place}: {rule} refers to {other}, which is no rule: `hookproof rules` lists them",
                place=scenario.place,
                rule=scenario.rule.id,
                other=unknown[0],
            )
    return tuple(scenarios)


def read(path: Path) -> tuple[Scenario, ...]:
    """The scenarios in a user's file. Raises InputError with file and line."""
    data = yaml_file.read(path, "scenario")
    _check_size(data, path)
    wrong = problems("scenario", data)
    if wrong:
        raise InputError(
            "{path}:{line}: {problem}",
            path=str(path),
            line=_line(path, wrong[0].path),
            problem=wrong[0].sentence(),
        )
    scenarios = tuple(_scenarios(data, path, str(path)))
    for scenario in scenarios:
        _check_steps(scenario)
    return scenarios


def recorded(records: Iterable[Mapping[str, Any]], place: str) -> tuple[Scenario, ...]:
    """The scenarios in `records`, which are stored at `place`. Raises InputError for an invalid one."""
    data = {"rules": list(records)}
    _check_size(data, Path(place))
    wrong = problems("scenario", data)
    if wrong:
        raise InputError("{place}: {problem}", place=place, problem=wrong[0].sentence())
    scenarios = tuple(_scenario(record, place) for record in data["rules"])
    for scenario in scenarios:
        _check_steps(scenario)
    return scenarios


def select(
    scenarios: Iterable[Scenario], globs: Iterable[str], more: Sentence = EMPTY
) -> tuple[Scenario, ...]:
    """The scenarios whose rule id matches one of `globs`; without globs, all but those on request.

    A rule that runs only on request is selected by its full id alone, not by a wildcard. Raises InputError
    for a glob that matches nothing; its message ends with `more`.
    """
    candidates, patterns = list(scenarios), list(globs)
    if not patterns:
        return tuple(scenario for scenario in candidates if not scenario.on_request)
    ids: set[str] = set()
    for pattern in patterns:
        matching = [each for each in candidates if fnmatchcase(each.rule.id, pattern)]
        if not matching:
            hint = meant(pattern, [each.rule.id for each in candidates])
            raise InputError(
                "--rules: no rule fits {pattern!r}{hint} (see `hookproof rules`{more})",
                pattern=pattern,
                hint=hint,
                more=more,
            )
        ids |= {each.rule.id for each in matching if not each.on_request or each.rule.id == pattern}
    return tuple(scenario for scenario in candidates if scenario.rule.id in ids)


def meant(pattern: str, ids: list[str]) -> Sentence:
    """A hint at the glob that was probably meant by `pattern`: one that matches `ids`, or the most similar
    one; empty when there is none."""
    sides = dict.fromkeys(rule_id.partition(".")[0] for rule_id in ids)
    prefixed = [f"{side}.{pattern}{more}" for side in sides for more in ("", ".*")]
    for glob in (f"{pattern}*", f"{pattern}.*", *prefixed):
        if any(fnmatchcase(rule_id, glob) for rule_id in ids):
            return Sentence("; did you mean {name}?", name=glob)
    groups = {rule_id.rsplit(".", 1)[0] + ".*" for rule_id in ids} | {
        rule_id.split(".")[0] + ".*" for rule_id in ids
    }
    near = get_close_matches(pattern, [*sorted(groups), *ids], n=1, cutoff=0.4)
    return Sentence("; did you mean {name}?", name=near[0]) if near else EMPTY


def _check_size(data: Any, path: Path) -> None:
    """Refuses files that a few lines of aliases make too large or too deep. Raises InputError."""
    waiting, nodes = [(data, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        nodes += 1
        if nodes > MOST_NODES or depth > DEEPEST:
            raise InputError(
                "{path}: the file expands to more than {limit:,} values, or deeper than {deepest} "
                "levels: write it without so many aliases",
                path=str(path),
                limit=MOST_NODES,
                deepest=DEEPEST,
            )
        inner = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        waiting += [(item, depth + 1) for item in inner]


def _scenarios(data: Any, path: Path, place: str) -> Iterable[Scenario]:
    for index, record in enumerate(data["rules"]):
        where = f"{place}:{_line(path, f'rules[{index}]')}" if place == str(path) else place
        yield _scenario(record, where)


def _scenario(record: Mapping[str, Any], place: str) -> Scenario:
    rule = Rule(
        id=record["rule"],
        level=Level(record["level"]),
        source=record.get("source"),
        title=_text(record["title"]),
        why=_text(record.get("why", "")),
        fix=_text(record.get("fix", "")),
    )
    try:
        cases = _cases(record, rule.level)
    except InputError as wrong:
        raise InputError(
            "{place}: {rule}: {reason}", place=place, rule=rule.id, reason=wrong.sentence
        ) from None
    scenario = Scenario(
        rule=rule,
        cases=cases,
        place=place,
        record=record,
        needs=tuple(dict.fromkeys([*record.get("needs", ()), *_implied_needs(cases)])),
        alone=record.get("alone", False),
        on_request=record.get("on-request", False),
        over=tuple(record.get("over", ())),
        exempt=tuple(record.get("exempt", ())),
        explains=tuple(record.get("explains", ())),
        after=tuple(record.get("after", ())),
        root_cause=record.get("root-cause"),
        explained_by=record.get("explained-by"),
        check=record.get("check"),
        fuzz=record.get("fuzz"),
    )
    judged = scenario.check is not None or scenario.fuzz is not None
    if not judged and not all(case.acts for case in cases):
        raise InputError(
            "{place}: {rule}: every case needs `steps`, or the rule needs a `check`",
            place=place,
            rule=rule.id,
        )
    return scenario


def _cases(record: Mapping[str, Any], level: Level) -> tuple[Case, ...]:
    cases = record.get("cases")
    if not cases:
        return (_case(None, {}, record, level),)
    return tuple(_case(name, words or {}, record, level) for name, words in cases.items())


def _case(
    name: str | None, words: Mapping[str, Any], record: Mapping[str, Any], level: Level
) -> Case:
    """The case that `words` describe; the rule's `record` holds what all its cases share."""
    level = Level(words.get("level", level))
    if record["rule"].startswith("sender."):
        return Case(name, level, sender_case=sender.read(words, record, level))
    steps = [dict(step) for step in words.get("steps", record.get("steps", ()))]
    sends = [step for step in steps if "send" in step]
    if sends:
        sends[-1]["send"] = {**sends[-1]["send"], **words.get("send", {})}
    return Case(name, level, tuple(parse_step(step, level) for step in steps))


def _implied_needs(cases: Iterable[Case]) -> Iterable[str]:
    """The needs that the steps imply, since they cannot be carried out otherwise."""
    for case in cases:
        for step in case.steps:
            if step.restart:
                yield "restart"
            if step.send is not None and step.send.other_instance:
                yield "also-url"
        yield from case.sender_case.needs


def _text(words: str | Mapping[str, str]) -> Text:
    if isinstance(words, str):
        return Text(words.strip())
    return Text(words["en"].strip(), words.get("zh-Hant", "").strip())


def _check_steps(scenario: Scenario) -> None:
    """Checks what the schema cannot express. Raises InputError."""
    for case in scenario.cases:
        try:
            check_steps(case.steps)
        except InputError as wrong:
            raise InputError(
                "{place}: {rule}: {reason}",
                place=scenario.place,
                rule=scenario.rule.id,
                reason=wrong.sentence,
            ) from None


def _line(path: Path, where: str) -> int:
    """The line of `where` (as in `rules[3].steps[0].send.body`), or of its last part that exists."""
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
