"""The words that all pages share, in English and Chinese."""

from conformance.model.text import Text

SHARED = {
    "language": Text("Language", "語言"),
    "theme": Text("Theme", "主題"),
    "theme-auto": Text("Auto", "自動"),
    "theme-light": Text("Light", "淺色"),
    "theme-dark": Text("Dark", "深色"),
}
