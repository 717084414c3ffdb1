"""A text in both of Hookproof's languages."""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("en", "zh-Hant")


@dataclass(frozen=True, slots=True)
class Text:
    """The same statement in English and in Traditional Chinese."""

    en: str
    zh: str

    def in_(self, language: str) -> str:
        """The text in `language`, one of LANGUAGES."""
        return self.zh if language == "zh-Hant" else self.en

    def __add__(self, other: Text) -> Text:
        return Text(self.en + other.en, self.zh + other.zh)

    def __bool__(self) -> bool:
        return bool(self.en)


NO_TEXT = Text("", "")
