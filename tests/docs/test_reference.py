"""The reference in scenarios/README.md names what there is, and no more."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from conformance.checks.check import Scope
from conformance.checks.registry import names
from conformance.engine.sender.registrations import SETTINGS
from conformance.model.exchange import Transport
from conformance.protocol.encodings import ENCODINGS, compact
from conformance.protocol.message import TYPES, build
from conformance.protocol.mutations import MUTATIONS
from conformance.protocol.tampering import TAMPERINGS
from conformance.protocol.validation import validator
from tests.docs.test_readme import SCENARIOS, text


def table(section: str) -> list[list[str]]:
    """The rows of the table in a section of scenarios/README.md, cell by cell."""
    (part,) = re.findall(rf"(?ms)^### {section}$(.*?)(?=^##|\Z)", text(SCENARIOS))
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


SCHEMA: Any = validator("scenario").schema["$defs"]
ANSWER = SCHEMA["answer"]["oneOf"][1]


@pytest.mark.parametrize(
    ("section", "known"),
    [
        pytest.param(f"Words of {article}{name}", SCHEMA[name]["properties"], id=name)
        for article, name in [
            ("a ", "rule"),
            ("a ", "case"),
            ("a ", "step"),
            ("", "send"),
            ("", "expect"),
            ("", "emit"),
            ("", "seen"),
            ("", "also"),
        ]
    ]
    + [
        pytest.param(f"Words of a sender's {name}", SCHEMA[schema]["properties"], id=schema)
        for name, schema in [("rule", "sender-rule"), ("case", "sender-case"), ("step", "action")]
    ]
    + [
        pytest.param(
            "Statuses",
            SCHEMA["expect"]["properties"]["status"]["oneOf"][0]["enum"],
            id="statuses",
        ),
        pytest.param("Needs", SCHEMA["rule"]["properties"]["needs"]["items"]["enum"], id="needs"),
        pytest.param("Settings", SCHEMA["configure"]["properties"], id="settings"),
        pytest.param("Words of an answer", ANSWER["properties"], id="answer"),
        pytest.param("Faults", ANSWER["properties"]["fault"]["enum"], id="faults"),
        pytest.param("Ways", SCHEMA["way"]["enum"], id="ways"),
        pytest.param("Calls", SCHEMA["call"]["oneOf"][0]["enum"], id="calls"),
        pytest.param(
            "What a sender's rule needs",
            SCHEMA["sender-rule"]["properties"]["needs"]["items"]["enum"],
            id="needs of a sender's",
        ),
        pytest.param("Checks of a step", names("sender", Scope.STEP), id="checks"),
        pytest.param("Messages", ["plain", *TYPES], id="messages"),
        pytest.param("Forms", ENCODINGS, id="forms"),
        pytest.param("Mutations", MUTATIONS, id="mutations"),
        pytest.param("Tampering", TAMPERINGS, id="tampering"),
        pytest.param("Transports", {*Transport} - {Transport.POOLED, Transport.RAW}, id="wire"),
    ],
)
def test_the_reference_names_every_word_and_no_other(section: str, known: Any) -> None:
    named = [row[0].split("`")[1] for row in table(section)]
    assert set(named) == set(known)
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    ("section", "schema"),
    [
        pytest.param("Words of a rule", "rule", id="receiver"),
        pytest.param("Words of a sender's rule", "sender-rule", id="sender"),
    ],
)
def test_the_reference_marks_the_words_that_must_be_there(section: str, schema: str) -> None:
    marked = {row[0].strip("`") for row in table(section) if row[1].startswith("required: ")}
    assert marked == set(SCHEMA[schema]["required"])


def test_the_reference_gives_each_setting_what_it_is_when_it_is_left_out() -> None:
    given = {row[0].strip("`"): row[1].strip("`") for row in table("Settings")}
    for name, value in SETTINGS.items():
        assert given[name] == json.dumps(value)


def test_the_reference_gives_each_message_its_type() -> None:
    given = {row[0].strip("`"): int(row[1]) for row in table("Messages") if row[1].isdecimal()}
    assert given == TYPES


def test_the_reference_marks_the_mutations_of_a_text_alone() -> None:
    link = compact(build("link", "1", 0).fields())
    marked = {row[0].split("`")[1] for row in table("Mutations") if "†" in row[0]}
    assert marked == {word for word, mutate in MUTATIONS.items() if mutate(link) == link}
