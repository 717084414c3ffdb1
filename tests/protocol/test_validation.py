"""The schemas, and what `conformance.protocol.validation` says about documents that do not fit them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from conformance.protocol import resources, validation
from conformance.protocol.validation import LONGEST, Problem, message_problems, problems, validator

SCHEMAS: dict[str, Any] = {
    file.name.removesuffix(".schema.json"): json.loads(file.read_text("utf-8"))
    for file in sorted(resources.folder("schemas").glob("*.schema.json"))
}
DOCUMENTED_TYPES = [1, 3, 34, 43, 47, 49, 10000, 10002]  # 訊息類型說明
LOW, HIGH = -(2**63), 2**63 - 1  # int64, 字段說明
ABSENT: Any = object()

TEXT: dict[str, Any] = SCHEMAS["message-1"]["examples"][0]
FITTING: dict[str, dict[str, Any]] = {
    "message": TEXT,
    "configuration": {"URL": "http://localhost:5000/hook"},
    "dialect": SCHEMAS["dialect"]["examples"][0],
    "report": SCHEMAS["report"]["examples"][0],
}


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` made to it; what is ABSENT is taken out."""
    return {name: value for name, value in (base | changes).items() if value is not ABSENT}


def told(found: list[Problem]) -> list[str]:
    return [str(problem) for problem in found]


@cache
def second_validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """An independent implementation, in Rust, of the same standard."""
    known = jsonschema_rs.Registry([(one["$id"], one) for one in SCHEMAS.values()])
    return jsonschema_rs.Draft202012Validator(SCHEMAS[name], registry=known)


def fit(label: str, changes: dict[str, Any]) -> Any:
    """A message that fits."""
    return pytest.param(changed(TEXT, changes), id=label)


def misfit(label: str, changes: dict[str, Any], *expected: str) -> Any:
    """A document, named before the first hyphen of `label`, with what is said about `changes`."""
    name = label.partition("-")[0]
    return pytest.param(name, changed(FITTING[name], changes), list(expected), id=label)


VALID_MESSAGES = [
    fit("text", {}),
    fit("empty-text", {"content": ""}),
    fit("odd-text", {"content": "\x00\u202e e\u0301 🏮"}),
    fit("long-text", {"content": "x" * 100_000}),
    fit("image-url", {"msgType": 3, "content": "https://media.example.com/1.png"}),
    fit("voice-base64", {"msgType": 34, "content": "IyFTSUxLX1Yz"}),
    fit("video-any-string", {"msgType": 43, "content": "neither URL nor Base64"}),
    fit("link", {"msgType": 49, "content": {"title": "Tides"}}),
    fit("unknown-type-object", {"msgType": 37, "content": {"scene": 1}}),
    fit("unknown-type-null", {"msgType": 9999, "content": None}),
    fit("huge-type", {"msgType": 10**30, "content": True}),
    fit("type-written-1.0", {"msgType": 1.0}),
    fit("type-written-49.0", {"msgType": 49.0, "content": {}}),
    fit("int64-bounds", {"timestamp": HIGH, "createTime": LOW}),
    fit("group", {"fromUser": "4821@chatroom", "isSelfMsg": True, "isHistory": True}),
    fit("unlisted-field", {"surplus": {"of": ["any", "kind"]}}),
]

NOUNS = {
    "a string": ["key", "msgId", "fromUser", "toUser", "content"],
    "an integer": ["timestamp", "createTime", "msgType"],
    "a boolean": ["isSelfMsg", "isHistory"],
}
INVALID_MESSAGES = [
    misfit("message-content-object", {"content": {}}, "content must be a string, not an object"),
    *(
        misfit(label, {"msgType": kind, "content": value}, f"content must be an object, not {seen}")
        for label, kind, value, seen in [
            ("message-content-string-49", 49, "tides", "'tides'"),
            ("message-content-string-49.0", 49.0, "tides", "'tides'"),
            ("message-content-array-49", 49, [], "an array"),
        ]
    ),
    misfit("message-msgId-array", {"msgId": []}, "msgId must be a string, not an array"),
    misfit("message-msgId-empty", {"msgId": ""}, "msgId must not be empty"),
    misfit("message-msgType-true", {"msgType": True}, "msgType must be an integer, not true"),
    misfit("message-msgType-1.5", {"msgType": 1.5}, "msgType must be an integer, not 1.5"),
    misfit(
        "message-high", {"timestamp": HIGH + 1}, f"timestamp must be at most {HIGH}, not {HIGH + 1}"
    ),
    misfit(
        "message-low", {"createTime": LOW - 1}, f"createTime must be at least {LOW}, not {LOW - 1}"
    ),
    misfit("message-typeless", {"msgType": ABSENT, "content": []}, "msgType is missing"),
    misfit("message-unknown-type", {"msgType": 37, "content": ABSENT}, "content is missing"),
]

NO_OBJECTS = [
    pytest.param(None, "null", id="null"),
    pytest.param(True, "true", id="true"),
    pytest.param(49, "49", id="number"),
    pytest.param("msgType", "'msgType'", id="string"),
]

GOOD_CONFIGURATIONS = [
    pytest.param({"URL": "HTTPS://Example.com/"}, id="upper-case"),
    pytest.param({"URL": "http://user:pass@[::1]:5000/hook?a=b#c"}, id="every-part"),
    pytest.param({"URL": "http://例子.測試/接收"}, id="not-ascii"),
    pytest.param({"URL": "http://localhost:1/", "Owner": "keeper"}, id="unlisted-field"),
]
BAD_URLS = {
    "empty": "",
    "scheme": "ftp://example.com/",
    "no-scheme": "example.com/hook",
    "no-host": "http://",
    "space": "http://exam ple.com/",
    "newline": "http://example.com/\n",
    "port": "http://example.com:port/",
}
REPORT = FITTING["report"]
SUMMARY, RESULT = REPORT["summary"], REPORT["results"][0]

INVALID_DOCUMENTS = [
    misfit("configuration-no-url", {"URL": ABSENT}, "URL is missing"),
    *(
        misfit(
            f"configuration-{label}", {"URL": url}, f"URL must be an http or https URL, not {url!r}"
        )
        for label, url in BAD_URLS.items()
    ),
    misfit("configuration-short", {"Timeout": 0}, "Timeout must be at least 1, not 0"),
    misfit("configuration-long", {"Timeout": 31}, "Timeout must be at most 30, not 31"),
    misfit("configuration-few", {"RetryCount": -1}, "RetryCount must be at least 0, not -1"),
    misfit("configuration-many", {"RetryCount": 101}, "RetryCount must be at most 100, not 101"),
    misfit(
        "configuration-types",
        {"MessageTypes": ["1", 3, "text", "4\n", "٤", "*"]},
        "MessageTypes[1] must be a string, not 3",
        "MessageTypes[2] must be a msgType in digits, or *, not 'text'",
        "MessageTypes[3] must be a msgType in digits, or *, not '4\\n'",
        "MessageTypes[4] must be a msgType in digits, or *, not '٤'",
    ),
    misfit("dialect-open", {"colour": "red"}, "colour is not a known field"),
    misfit("dialect-no-status", {"success": []}, "success must not be empty"),
    misfit("dialect-repeat", {"success": [200, 200]}, "success breaks uniqueItems: true"),
    misfit("dialect-deadline", {"deadline": 0}, "deadline must be more than 0, not 0"),
    misfit("dialect-status", {"success": ["200"]}, "success[0] must be an integer, not '200'"),
    misfit(
        "dialect-untitled",
        {"title": "", "summary": ""},
        "summary must not be empty",
        "title must not be empty",
    ),
    misfit("dialect-low", {"success": [99]}, "success[0] must be at least 100, not 99"),
    misfit("dialect-high", {"success": [600]}, "success[0] must be at most 599, not 600"),
    misfit(
        "dialect-no-body",
        {"string-to-sign": "{timestamp}"},
        "string-to-sign must be a text that contains {body}, not '{timestamp}'",
    ),
    misfit(
        "dialect-unknown-placeholder",
        {"string-to-sign": "{a}{body}"},
        "string-to-sign must be a text with no braces but those of {timestamp} and {body}, "
        "not '{a}{body}'",
    ),
    misfit("dialect-encoding", {"encoding": "b"}, "encoding must be one of hex, base64, not 'b'"),
    misfit(
        "dialect-name", {"name": "A"}, "name must be lower-case words joined by hyphens, not 'A'"
    ),
    misfit(
        "dialect-header",
        {"signature-header": "X Y", "timestamp-header": ""},
        "signature-header must be an HTTP header name, not 'X Y'",
        "timestamp-header must be an HTTP header name, not ''",
    ),
    misfit("report-side", {"side": "both"}, "side must be one of receiver, sender, not 'both'"),
    misfit("report-passed", {"verdict": "pass"}, "verdict must be \"fail\", not 'pass'"),
    misfit(
        "report-failed",
        {"summary": SUMMARY | {"fail": 0}},
        "summary.fail must be at least 1, not 0",
    ),
    misfit(
        "report-count",
        {"summary": SUMMARY | {"skip": -1}},
        "summary.skip must be at least 0, not -1",
    ),
    misfit(
        "report-uncounted",
        {"verdict": "error", "summary": {}},
        *(f"summary.{n} is missing" for n in sorted(SUMMARY)),
    ),
    misfit(
        "report-started",
        {"started": "2026-01-31 08:30"},
        "started must be a UTC time such as 2026-01-31T08:30:00Z, not '2026-01-31 08:30'",
    ),
    misfit("report-seconds", {"seconds": -1}, "seconds must be at least 0, not -1"),
    misfit(
        "report-pass-without-a-pass",
        {"verdict": "pass", "summary": SUMMARY | {"pass": 0, "fail": 0, "error": 1}},
        "summary.error must be 0, not 1",
        "summary.pass must be at least 1, not 0",
    ),
    misfit("report-odd", {"results": [RESULT | {"a": 1}]}, "results[0].a is not a known field"),
    misfit(
        "report-lacking", {"results": [{}]}, *(f"results[0].{f} is missing" for f in sorted(RESULT))
    ),
    misfit("report-open", {"hint": ""}, "hint is not a known field"),
]

WRONG_FIELDS = [
    *(
        (name, FITTING[name] | {field: [] if field in ("summary", "load") else {}}, field)
        for name in ("configuration", "dialect", "report")
        for field in SCHEMAS[name]["properties"]
    ),
    *(("report", REPORT | {"summary": SUMMARY | {n: "7"}}, f"summary.{n}") for n in SUMMARY),
    *(
        ("report", REPORT | {"results": [RESULT | {n: "7" if n == "parameters" else {}}]}, place)
        for n in RESULT
        if (place := f"results[0].{n}")
    ),
]
"""Documents with a field of another type, and that field."""


def test_schemas_are_valid_under_the_meta_schema() -> None:
    for one in SCHEMAS.values():
        Draft202012Validator.check_schema(one)


def test_schemas_are_identified_by_their_standard_and_their_file_names() -> None:
    assert {one["$schema"] for one in SCHEMAS.values()} == {
        "https://json-schema.org/draft/2020-12/schema"
    }
    assert {name: one["$id"] for name, one in SCHEMAS.items()} == {
        name: f"https://hookproof.dev/schemas/{name}.schema.json" for name in SCHEMAS
    }


def test_schemas_explain_themselves() -> None:
    words = ("title", "description", "examples")
    assert [(name, w) for name, one in SCHEMAS.items() for w in words if not one.get(w)] == []


EXAMPLES = [(name, each) for name, one in SCHEMAS.items() for each in one["examples"]]


def test_the_examples_fit_their_schemas() -> None:
    assert [(name, problems(name, each)) for name, each in EXAMPLES] == [
        (name, []) for name, _ in EXAMPLES
    ]


def test_exactly_the_documented_types_have_a_schema() -> None:
    assert {name for name in SCHEMAS if name.startswith("message-")} == {
        f"message-{kind}" for kind in DOCUMENTED_TYPES
    }


def test_a_type_schema_refuses_another_type() -> None:
    for kind in DOCUMENTED_TYPES:
        message = TEXT | {"msgType": 9999, "content": {} if kind == 49 else ""}
        expected = f"msgType must be {kind}, not 9999"
        assert told(problems(f"message-{kind}", message)) == [expected]


def test_the_defaults_of_a_configuration_are_those_of_the_contract() -> None:
    fields = SCHEMAS["configuration"]["properties"]
    assert {name: field["default"] for name, field in fields.items() if "default" in field} == {
        "Enabled": True,
        "Timeout": 10,
        "RetryCount": 3,
        "MessageTypes": ["*"],
        "IncludeSelfMessage": False,
    }


@pytest.mark.parametrize("configuration", GOOD_CONFIGURATIONS)
def test_a_configuration_that_fits_has_no_problems(configuration: object) -> None:
    assert problems("configuration", configuration) == []


@pytest.mark.parametrize("message", VALID_MESSAGES)
def test_a_message_that_fits_has_no_problems(message: object) -> None:
    assert message_problems(message) == []


@pytest.mark.parametrize(("name", "message", "expected"), INVALID_MESSAGES)
def test_a_problem_names_the_field_of_the_message(
    name: str, message: object, expected: list[str]
) -> None:
    assert told(message_problems(message)) == expected


def test_a_null_field_of_a_message_is_reported_with_what_it_must_be() -> None:
    fields = {field: noun for noun, fields in NOUNS.items() for field in fields}
    assert {field: told(message_problems(TEXT | {field: None})) for field in fields} == {
        field: [f"{field} must be {noun}, not null"] for field, noun in fields.items()
    }


@pytest.mark.parametrize(("value", "seen"), NO_OBJECTS)
def test_what_is_no_object_is_wrong_as_a_whole(value: object, seen: str) -> None:
    assert told(message_problems(value)) == [f"(whole) must be an object, not {seen}"]


def test_an_array_is_no_document() -> None:
    for name in FITTING:
        assert told(problems(name, [])) == ["(whole) must be an object, not an array"], name


@pytest.mark.parametrize(("name", "instance", "expected"), INVALID_DOCUMENTS)
def test_a_problem_names_the_field_of_the_document(
    name: str, instance: object, expected: list[str]
) -> None:
    assert told(problems(name, instance)) == expected


def test_a_value_of_another_type_is_named_by_its_field() -> None:
    named = [
        (name, {problem.path for problem in problems(name, instance)})
        for name, instance, _ in WRONG_FIELDS
    ]
    assert named == [(name, {field}) for name, _, field in WRONG_FIELDS]


def test_a_document_without_fields_lacks_each_of_them_by_name() -> None:
    for name in ("message", "dialect", "report"):
        missing = [f"{field} is missing" for field in sorted(FITTING[name])]
        assert told(problems(name, {})) == missing, name


def test_a_type_schema_asks_for_the_whole_envelope() -> None:
    for kind in DOCUMENTED_TYPES:
        assert problems(f"message-{kind}", {}) == problems("message", {}), kind


def test_a_long_value_is_cut() -> None:
    (problem,) = message_problems(TEXT | {"isHistory": "7" * 1_000_000})
    assert len(str(problem.message)) < 2 * LONGEST


def test_a_long_field_name_is_cut() -> None:
    (problem,) = problems("dialect", FITTING["dialect"] | {"x" * 1_000_000: 1})
    assert len(problem.path) == LONGEST


def test_a_secret_of_the_wrong_type_is_not_quoted() -> None:
    assert told(problems("configuration", FITTING["configuration"] | {"Secret": 271828})) == [
        "Secret must be a string"
    ]


def test_a_lone_surrogate_is_quoted_in_text_that_can_be_written() -> None:
    (problem,) = message_problems(TEXT | {"isHistory": "\ud83d"})
    assert str(problem.message).encode() == b"must be a boolean, not '\\ud83d'"


def test_a_value_nested_too_deeply_to_be_shown_is_a_problem_and_no_crash() -> None:
    nested: list[Any] = []
    for _ in range(5_000):
        nested = [nested]
    assert told(message_problems(TEXT | {"content": nested})) == [
        "(whole) is nested too deeply to be validated"
    ]


def test_a_yaml_value_that_json_lacks_is_named_by_its_type() -> None:
    assert told(problems("dialect", FITTING["dialect"] | {"title": {1}})) == [
        "title must be a string, not a set"
    ]


def test_a_validator_is_built_once() -> None:
    assert validator("message") is validator("message")


def test_a_schema_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="no schema is called 'letter'"):
        validator("letter")


@pytest.mark.parametrize(
    ("rules", "instance", "expected"),
    [
        pytest.param(
            {"anyOf": [{"type": "string"}, {"type": "object", "required": ["at"]}]},
            {},
            ["at is missing"],
            id="alternative-meant",
        ),
        pytest.param(
            {"oneOf": [{"type": "string"}, {"type": "array"}]},
            7,
            ["(whole) fits none, or more than one, of the 2 forms allowed here"],
            id="no-alternative-meant",
        ),
        pytest.param(
            {"patternProperties": {"^x-": True}, "additionalProperties": False},
            {"x-a": 1, "y-a": 1},
            ["y-a is not a known field"],
            id="field-patterns",
        ),
        pytest.param(
            {"properties": {"a": {"not": {}}}}, {"a": 1}, ["a is not allowed here"], id="never"
        ),
        pytest.param(
            {"pattern": "^a"},
            "b",
            ["(whole) must be a text that matches ^a, not 'b'"],
            id="pattern",
        ),
        pytest.param({"maxItems": 1}, [1, 2], ["(whole) breaks maxItems: 1"], id="other-keyword"),
    ],
)
def test_a_problem_is_clear_whatever_the_keyword(
    rules: dict[str, Any], instance: object, expected: list[str]
) -> None:
    errors = Draft202012Validator(rules).iter_errors(instance)
    assert [str(problem) for error in errors for problem in validation._problems(error)] == expected


# Two judges of the same thing: the schema of the type and `message`; jsonschema and jsonschema-rs.

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
telling = st.sampled_from([*DOCUMENTED_TYPES, 1.0, 49.0, LOW, LOW - 1, HIGH, HIGH + 1])
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.text() | numbers | telling,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
changes_to_a_message = st.dictionaries(
    st.sampled_from([*TEXT, "surplus"]), anything | st.just(ABSENT), max_size=4
)
messages = st.builds(changed, st.just(TEXT), changes_to_a_message) | anything

every_message = [
    *(case.values[0] for case in VALID_MESSAGES),
    *(case.values[1] for case in INVALID_MESSAGES),
    *(case.values[0] for case in NO_OBJECTS),
    *(changed(TEXT, {field: absent}) for field in TEXT for absent in (None, ABSENT)),
    *(TEXT | {"msgType": kind, "content": {}} for kind in DOCUMENTED_TYPES),
]


def test_the_schema_of_the_type_says_what_the_whole_schema_says() -> None:
    for message in every_message:
        assert message_problems(message) == problems("message", message), message


@settings(deadline=None)
@given(messages)
def test_the_two_schemas_say_the_same_of_any_message(message: object) -> None:
    assert message_problems(message) == problems("message", message)


def test_a_second_validator_agrees() -> None:
    for message in every_message:
        assert second_validator("message").is_valid(message) == (not message_problems(message)), (
            message
        )


@settings(deadline=None)
@given(messages)
def test_a_second_validator_agrees_on_any_message(message: object) -> None:
    assert second_validator("message").is_valid(message) == (not message_problems(message))


def test_a_second_validator_refuses_the_same_documents() -> None:
    wrong = [tuple(case.values[:2]) for case in INVALID_DOCUMENTS]
    wrong += [(name, instance) for name, instance, _ in WRONG_FIELDS]
    accepted = [each for each in wrong if second_validator(each[0]).is_valid(each[1])]
    assert accepted == []


def test_a_second_validator_accepts_the_examples() -> None:
    refused = [(name, e) for name, e in EXAMPLES if not second_validator(name).is_valid(e)]
    assert refused == []
