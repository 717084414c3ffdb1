"""Every Chinese text of Hookproof uses the glossary's terms, and none of the synonyms that it rules out."""

import re
from pathlib import Path

import pytest

from conformance.reporting import languages

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<english>.+?) \| (?P<chinese>.+?) \| (?P<note>.*?) ?\|$", re.MULTILINE)
NOT = re.compile(r"not ((?:[\u4e00-\u9fff]+(?:, )?)+)")
TEXTS = [
    languages.catalogue(languages.CHINESE).with_suffix(".po"),
    ROOT / "README.zh-Hant.md",
    *sorted((ROOT / "scenarios").rglob("*.yaml")),
]
ROWS = list(ROW.finditer((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")))
TERMS = {row["chinese"] for row in ROWS}
RULED_OUT = {
    word: row["chinese"]
    for row in ROWS
    for listed in NOT.findall(row["note"])
    for word in listed.strip(", ").split(", ")
}


def synonyms(text):
    """The words that are ruled out and occur in `text`, but not within a term of the glossary."""
    return {word: term for word, term in RULED_OUT.items() if word in without_terms(text, word)}


def without_terms(text, word):
    for term in TERMS:
        if word in term:
            text = text.replace(term, "")
    return text


def test_the_glossary_rules_words_out():
    assert RULED_OUT["欄位"] == "字段"
    assert RULED_OUT["連接埠"] == "端口"


def test_no_term_is_ruled_out():
    assert TERMS.isdisjoint(RULED_OUT)


def test_a_synonym_is_found_unless_it_is_part_of_a_term():
    assert synonyms("欄位與數據表欄位") == {"欄位": "字段"}
    assert synonyms("數據表欄位") == {}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_synonym_is_used(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    found = {f"{number}: {line.strip()}": synonyms(line) for number, line in enumerate(lines, 1)}
    assert {line: words for line, words in found.items() if words} == {}
