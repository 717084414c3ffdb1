"""A language as a value: its code, and what turns a template into that language.

English stands in the code, so it translates nothing. The other languages' catalogues are files, which
`conformance.reporting.languages` reads; a value that renders itself is handed the language it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

LANGUAGES = ("en", "zh-Hant")
"""The codes of the languages, as `--lang` takes them."""


def _unchanged(template: str) -> str:
    return template


@dataclass(frozen=True, slots=True)
class Language:
    """`code` is one of LANGUAGES. `translate` gives the template in this language, or the template itself
    where the language has none."""

    code: str
    translate: Callable[[str], str] = field(default=_unchanged, repr=False, compare=False)


ENGLISH = Language("en")
