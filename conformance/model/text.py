"""A text of a rule or of a dialect, in the languages in which its YAML file has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from conformance.model.language import Language
from conformance.model.sentence import Sentence


@dataclass(frozen=True, slots=True)
class Text:
    """The same statement in English and in Traditional Chinese, which users' files may leave out."""

    en: str
    zh: str = ""

    def in_(self, language: Language) -> str:
        """The text in `language`; in English where it has no other."""
        return (language.code == "zh-Hant" and self.zh) or self.en

    def __str__(self) -> str:
        return self.en

    def __bool__(self) -> bool:
        return bool(self.en)


Statement: TypeAlias = Text | Sentence
"""What is shown in a language: `in_` gives it as text."""
