"""Sentences: templates whose parameters are data, whatever they hold, in any language."""

import json
import pickle
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.model.errors import HarnessError, InputError
from conformance.model.language import ENGLISH, Language
from conformance.model.sentence import (
    EMPTY,
    Sentence,
    clauses,
    joined,
    listed,
    verbatim,
)

SHOUTED = {
    "answered {status}": "{status} WAS ANSWERED",
    "after {seconds:.1f} s": "AFTER {seconds:.0f} SECONDS",
    "; ": " & ",
}
SHOUTING = Language("shouting", lambda template: SHOUTED.get(template, template))
HOSTILE = ["{status}", "{0}", "{status.__class__}", "{", "}}", "{{}}", "%(status)s", "\udc80\x00"]

scalars = st.text() | st.integers() | st.floats(allow_nan=False)
names = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


@st.composite
def sentences(draw, depth=2):
    """Sentences of one or two templates, each of which uses all of its parameters."""
    values = scalars if depth == 0 else scalars | sentences(depth=depth - 1)
    joined = EMPTY
    for parameters in draw(st.lists(st.dictionaries(names, values, max_size=3), max_size=2)):
        literal = draw(st.text()).replace("{", "{{").replace("}", "}}")
        joined += Sentence(literal + "".join(f" {{{name}}}" for name in parameters), **parameters)
    return joined


def test_a_template_is_filled_in_when_it_is_shown():
    assert str(Sentence("answered {status}", status=500)) == "answered 500"


def test_another_language_has_a_template_of_its_own():
    sentence = Sentence("after {seconds:.1f} s", seconds=1.75)
    assert (sentence.in_(ENGLISH), sentence.in_(SHOUTING)) == ("after 1.8 s", "AFTER 2 SECONDS")


def test_a_template_that_a_language_lacks_stays_english():
    assert Sentence("refused").in_(SHOUTING) == "refused"


def test_a_parameter_that_is_a_sentence_is_translated_too():
    sentence = Sentence("the target {what}", what=Sentence("answered {status}", status=401))
    assert sentence.in_(SHOUTING) == "the target 401 WAS ANSWERED"


def test_doubled_braces_are_literal():
    assert str(Sentence('answers {{"count": {count}}}', count=3)) == 'answers {"count": 3}'


def test_a_conversion_quotes_a_parameter():
    assert str(Sentence("Content-Type is {kind!r}", kind="a/b")) == "Content-Type is 'a/b'"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_parameter_is_never_read_as_a_template(text):
    inner = Sentence("said {text}", text=text)
    assert str(Sentence("it {inner}, status {status}", inner=inner, status=1)) == (
        f"it said {text}, status 1"
    )


@pytest.mark.parametrize("template", ["{status.__class__}", "{status[0]}", "{}", "{0}"])
def test_a_template_reaches_nothing_but_its_parameters(template):
    with pytest.raises(KeyError):
        str(Sentence(template, status="200"))


def test_sentences_are_appended():
    whole = Sentence("a {x}", x=1) + Sentence(", b {y}", y=2)
    assert (str(whole), whole.parameters) == ("a 1, b 2", {"x": 1, "y": 2})


def test_a_sentence_within_gives_its_text_and_its_parameters_and_the_first_keeps_its_name():
    inner = Sentence("answered {status} in {seconds}", status=500, seconds=2.5)
    sentence = Sentence("{count} of {total}: {inner}", count=1, total=2, inner=inner)
    both = sentence + Sentence(" ({count})", count=9)
    assert both.parameters == {
        "count": 1,
        "total": 2,
        "inner": "answered 500 in 2.5",
        "status": 500,
        "seconds": 2.5,
    }


@pytest.mark.parametrize(
    ("join", "text"),
    [
        pytest.param(clauses, "a; b", id="clauses"),
        pytest.param(listed, "a, b", id="an enumeration"),
        pytest.param(partial(joined, Sentence(" or ")), "a or b", id="a choice"),
    ],
)
def test_sentences_are_joined_without_the_empty_ones(join, text):
    assert str(join([EMPTY, Sentence("a"), EMPTY, Sentence("b")])) == text


def test_a_separator_is_translated():
    assert clauses([Sentence("a"), Sentence("b")]).in_(SHOUTING) == "a & b"


def test_joining_nothing_is_empty():
    assert not clauses([])


def test_only_a_sentence_without_words_is_false():
    assert (bool(EMPTY), bool(Sentence("")), bool(Sentence("no"))) == (False, False, True)


def test_the_texts_of_a_sentence_can_be_changed_and_its_numbers_stay():
    inner = Sentence("answered {status}: {body}", status=200, body="secret")
    hidden = Sentence("{url}: {inner}", url="secret", inner=inner).with_text(lambda _: "…")
    assert str(hidden) == "…: answered 200: …"


def test_a_sentence_says_how_it_was_made():
    sentence = Sentence("a {x}", x=1) + verbatim("b")
    assert repr(sentence) == "Sentence('a {x}', x=1) + Sentence('{text}', text='b')"


@settings(max_examples=40)
@given(sentences())
def test_a_sentence_survives_as_json(sentence):
    again = Sentence.from_data(json.loads(json.dumps(sentence.as_data())))
    assert (again, hash(again), str(again)) == (sentence, hash(sentence), str(sentence))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        pytest.param("{x:>9999999999}", "a", id="a width"),
        pytest.param("{x:.2000000000f}", 1.0, id="a precision"),
        pytest.param("{x.__class__}", "a", id="an attribute"),
        pytest.param("{x[0]}", "a", id="an index"),
        pytest.param("{x!a}", "a", id="another conversion"),
        pytest.param("{x:{x}}", "a", id="a nested field"),
        pytest.param("{x:.1f}", "a", id="a text as a number"),
        pytest.param("{y}", "a", id="no parameter"),
        pytest.param("{", "a", id="a lone brace"),
    ],
)
def test_a_template_that_no_sentence_has_is_not_read(template, value):
    with pytest.raises((KeyError, ValueError)):
        Sentence.from_data([{"template": template, "parameters": {"x": value}}])


@settings(max_examples=25)
@given(sentences(), sentences(), sentences())
def test_appending_is_associative_and_the_empty_sentence_changes_nothing(one, two, three):
    assert (one + two) + three == one + (two + three)
    assert EMPTY + one == one + EMPTY == one
    assert str(one + two) == str(one) + str(two)


@settings(max_examples=40)
@given(sentences())
def test_the_parameters_are_json_values(sentence):
    assert json.loads(json.dumps(sentence.parameters)) == sentence.parameters


@pytest.mark.parametrize("kind", [InputError, HarnessError])
def test_an_exception_holds_a_sentence_and_reads_in_english(kind):
    fault = kind("{path} is not a trace", path="a{b}")
    assert (str(fault), fault.sentence) == (
        "a{b} is not a trace",
        Sentence("{path} is not a trace", path="a{b}"),
    )


def test_an_exception_takes_a_whole_sentence():
    assert InputError(Sentence("no")).sentence == Sentence("no")


def test_an_exception_can_be_pickled():
    fault = pickle.loads(pickle.dumps(InputError("{path} is not a trace", path="a")))
    assert str(fault) == "a is not a trace"
