"""The languages in which Hookproof shows its sentences, each with its catalogue.

A catalogue is a GNU gettext file under `locale/`. It is read from its compiled form by the standard
library: that takes a few milliseconds and no further package, and Babel, which extracts and completes the
catalogue, stays a tool of the developers. The compiled file is committed beside its source, so that a
checkout works without a build step, and a test shows that the two agree. English has no catalogue.
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations
from pathlib import Path

from conformance.model.errors import InputError
from conformance.model.language import ENGLISH, LANGUAGES, Language
from conformance.model.text import Statement

CHINESE = "zh-Hant"
LOCALE = Path(__file__).parent / "locale"
DOMAIN = "hookproof"


@cache
def load(code: str) -> Language:
    """The language with this code, one of LANGUAGES. Raises InputError for any other."""
    if code == ENGLISH.code:
        return ENGLISH
    if code not in LANGUAGES:
        raise InputError(
            "language: {language!r} is none of {languages}",
            language=code,
            languages=", ".join(LANGUAGES),
        )
    with catalogue(code).open("rb") as file:
        return Language(code, GNUTranslations(file).gettext)


def catalogue(code: str) -> Path:
    """The compiled catalogue of a language; its source has the suffix `.po`."""
    return LOCALE / code.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.mo"


def in_english(statement: Statement) -> str:
    """For what is shown in both languages at once, such as a page that switches between them."""
    return statement.in_(ENGLISH)


def in_chinese(statement: Statement) -> str:
    """As `in_english`, in Traditional Chinese."""
    return statement.in_(load(CHINESE))
