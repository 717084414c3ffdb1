"""The catalogue is complete, nothing in it is unused, and it is read only for a language that needs it."""

import ast
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import conformance
from conformance.model.errors import HarnessError, InputError
from conformance.model.language import ENGLISH, LANGUAGES
from conformance.model.sentence import Sentence, fields
from conformance.model.text import Text
from conformance.reporting import languages
from conformance.reporting.languages import CHINESE, catalogue, in_chinese, in_english

PACKAGE = Path(conformance.__file__).parent
MAKERS = (Sentence.__name__, InputError.__name__, HarnessError.__name__)


def source():
    with catalogue(CHINESE).with_suffix(".po").open("rb") as file:
        return read_po(file, locale="zh_Hant", abort_invalid=True)


def extracted():
    """Template → where it is written, as the tool that fills the catalogue sees it."""
    keywords = dict.fromkeys(MAKERS) | {"declare": (1,), "same": (3,)}
    found = extract_from_dir(PACKAGE, [("**.py", "python")], keywords=keywords)
    return {template: f"{name}:{line}" for name, line, template, _, _ in found if template}


def entries():
    return [message for message in source() if message.id]


def parameters(template):
    return {(field.name, field.conversion) for field in fields(template) if field.name is not None}


def calls():
    """Every call in the package that makes a sentence, with where it is."""
    for path in PACKAGE.rglob("*.py"):
        if "stacks" in path.parts:  # programs of their own
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in MAKERS:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def test_every_template_has_a_translation():
    translated = {message.id for message in entries() if message.string and not message.fuzzy}
    assert {
        template: at for template, at in extracted().items() if template not in translated
    } == {}


def test_every_translation_is_used():
    assert {message.id for message in entries()} - extracted().keys() == set()


def test_a_translation_has_the_parameters_of_its_template():
    different = {m.id: m.string for m in entries() if parameters(m.id) != parameters(m.string)}
    assert different == {}


def test_a_parameter_is_a_plain_name():
    names = {name for template in extracted() for name, _ in parameters(template)}
    assert {name for name in names if not name.isidentifier()} == set()


def test_no_sentence_is_put_together_before_it_is_shown():
    """An f-string or a sum in the place of a template could not be translated."""
    together = ast.JoinedStr | ast.BinOp
    assert [at for at, node in calls() if node.args and isinstance(node.args[0], together)] == []


def test_a_call_gives_the_parameters_that_its_template_names():
    wrong = [
        at
        for at, node in calls()
        if node.args
        and isinstance(node.args[0], ast.Constant)
        and {name for name, _ in parameters(node.args[0].value)}
        != {keyword.arg for keyword in node.keywords}
    ]
    assert wrong == []


def test_the_compiled_catalogue_is_that_of_its_source():
    with catalogue(CHINESE).open("rb") as file:
        compiled = {message.id: message.string for message in read_mo(file) if message.id}
    assert compiled == {message.id: message.string for message in entries()}, "run `make messages`"


def test_the_standard_library_reads_what_was_compiled():
    with catalogue(CHINESE).open("rb") as file:
        translations = GNUTranslations(file)
    assert {m.id: translations.gettext(m.id) for m in entries()} == {
        m.id: m.string for m in entries()
    }


def test_english_needs_no_catalogue(monkeypatch):
    monkeypatch.setattr(languages, "LOCALE", Path("/nowhere"))
    languages.load.cache_clear()
    assert languages.load("en") is ENGLISH


def test_every_language_can_be_loaded():
    assert [languages.load(code).code for code in LANGUAGES] == list(LANGUAGES)


def test_an_unknown_language_is_refused():
    with pytest.raises(InputError) as refused:
        languages.load("fr")
    assert refused.value.sentence.parameters == {"language": "fr", "languages": "en, zh-Hant"}


def test_a_sentence_and_a_rules_text_are_shown_alike():
    statements = [Sentence("Failed"), Text("Failed", "失敗")]
    assert {in_english(each) for each in statements} == {"Failed"}
    assert {in_chinese(each) for each in statements} == {"失敗"}


def test_a_rules_text_without_chinese_is_shown_in_english():
    assert in_chinese(Text("Only English")) == "Only English"
