"""The words that all pages share, in English and Chinese."""

from conformance.model.sentence import Sentence

SHARED = {
    "language": Sentence("Language"),
    "theme": Sentence("Theme"),
    "theme-auto": Sentence("Auto"),
    "theme-light": Sentence("Light"),
    "theme-dark": Sentence("Dark"),
}
