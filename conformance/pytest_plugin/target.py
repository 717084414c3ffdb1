"""The targets that a user's conftest.py returns. Cheap to import."""

from __future__ import annotations

from typing import Any, ClassVar

from conformance.options.table import ReceiverTable, SenderTable, options


class HookproofWarning(UserWarning):
    """A target breaks a rule of level SHOULD: the item passes with this warning."""


class Target:
    """A receiver under test, as the fixture `hookproof_receiver` returns it.

    Takes by name `url`, `secret` and every other option of `hookproof check receiver` in its Python
    spelling: `observer_url`, `headers`, `ca`. A secret may be bytes, or a str, also `env:NAME` and
    `file:PATH`. What is left out has its default; what is not about the target (`seed`, `fuzz`) is that of
    pytest's command line. `called` replaces the URL in the summary. Raises TypeError for another name.
    """

    TABLE: ClassVar[type] = ReceiverTable
    URL: ClassVar[str] = "url"

    def __init__(self, *, url: str, called: str | None = None, **values: Any) -> None:
        self.values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in {self.URL: url, **values}.items()
        }
        self.called = called
        unknown = self.values.keys() - options(self.TABLE)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        if self.values.get("secret") is None:
            raise TypeError(f"{type(self).__name__} needs a secret")

    @property
    def url(self) -> str:
        """The URL of the target."""
        return str(self.values[self.URL])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in options(self.TABLE):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        value = self.values.get(name)
        return options(self.TABLE)[name].default if value is None else value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *self.values.items()))

    def __repr__(self) -> str:
        shown = {**self.values, self.URL: self.url}
        table = options(self.TABLE)
        pairs = (f"{name}={value!r}" for name, value in shown.items() if not table[name].secret)
        return f"{type(self).__name__}({', '.join(pairs)})"


class SenderTarget(Target):
    """A sender under test, as the fixture `hookproof_sender` returns it.

    `url` is the base of its Config, List, Test and Update; the other names are options of `hookproof check
    sender`: `emit_url`, `emit_command`, `api_key`, `listen`. The rest is as for `Target`.
    """

    TABLE = SenderTable
    URL = "api_url"
