"""The words that all pages share."""

from conformance.model.sentence import Sentence

SHARED = {
    "language": Sentence("Language"),
    "theme": Sentence("Theme"),
    "theme-auto": Sentence("Auto"),
    "theme-light": Sentence("Light"),
    "theme-dark": Sentence("Dark"),
}
