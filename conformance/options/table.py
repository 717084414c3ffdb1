"""The table of options: each is declared once, and the command line, pytest and the Python API derive
theirs from it.

A class holds the options of a run, or of one kind of command; a field is an option. The table holds
declarations alone: `values` reads and validates.

The pytest plugin loads this file by its path, as a module of another name, in sessions that have nothing to
do with Hookproof. So it imports nothing but the standard library, and makes no records there, which would
take longer than all the rest.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from conformance.model.exchange import Headers
    from conformance.model.language import Language
    from conformance.protocol.dialect import Dialect, Secret

REQUIRED: Any = object()
"""The default of a required option."""

EXAMPLES = Path(".hookproof", "examples")
"""Where failing examples are stored: in the working directory, like Hypothesis's own."""
FUZZ = 200
"""The default number of examples for each fuzz rule."""
LANGUAGES = ("en", "zh-Hant")


class Kind(Enum):
    """What the value of an option is, and what stands for it in a command's help. `values` has a reader
    for each."""

    TEXT = "text", "TEXT"
    FLAG = "flag", ""
    WHOLE = "whole number", "N"
    NUMBER = "number", "SECONDS"
    SEED = "seed", "N"
    SECRET = "secret", "S"
    HEADER = "header", "'K: V'"
    URL = "url", "URL"
    OBSERVER = "observer", "TEMPLATE"
    COMMAND = "command", "CMD"
    ADDRESS = "address", "HOST:PORT"
    DIALECT = "dialect", "NAME|FILE"
    PATH = "path", "FILE"
    LANGUAGE = "language", "|".join(LANGUAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option. `name` is its keyword in Python; `flag` its name on the command line, without dashes.

    `help` is an English template, with its translations in the catalogue. A number lies between `low` and
    `high`, both included, or above `above`. `many` options may be repeated. An `argument` has no flag on
    the command line. `pytest` is its flag in pytest, where that is another, and None where it has none;
    `short` says whether it is there without `hookproof-` too, if no other plugin has it. What describes the
    `target` means nothing without one.
    """

    name: str = ""
    flag: str = ""
    help: str
    kind: Kind
    metavar: str
    default: Any
    low: float | None = None
    above: float | None = None
    high: float | None = None
    many: bool = False
    argument: bool = False
    pytest: str | None = ""
    short: bool = False
    target: bool = False

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is REQUIRED

    @property
    def secret(self) -> bool:
        """Whether its value must not be shown."""
        return self.kind in (Kind.SECRET, Kind.HEADER)

    @property
    def default_text(self) -> str:
        """The default as a user writes it; empty where there is none to show."""
        if self.default is REQUIRED or self.default in (None, False, ()):
            return ""
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    @property
    def long(self) -> str:
        """The option's name in pytest."""
        return f"--hookproof-{self.pytest or self.flag}"

    @property
    def brief(self) -> str:
        """The same without `hookproof-`; pytest has it only for options that are `short`."""
        return f"--{self.pytest or self.flag}"

    @property
    def dest(self) -> str:
        """The attribute of pytest's parsed options that has its value."""
        return f"hookproof_{self.name}"


def declare(
    text: str, kind: Kind = Kind.TEXT, *, default: Any = REQUIRED, value: Any = ..., **more: Any
) -> Any:
    """The field of an option with the help `text`; `more` are values of an Option. `default` is what a user
    would write; `value` is the field's default where that is another."""
    more.setdefault("metavar", kind.value[1])
    declared = Option(help=text, kind=kind, default=default, **more)
    return _field(declared, default if value is ... else value)


def same(table: type, name: str, text: str = "", **changes: Any) -> Any:
    """The field of an option that another table declares, with another help `text` and these changes."""
    declared = options(table)[name]
    declared = replace(declared, help=text or declared.help, **changes)
    return _field(declared, declared.default)


def _field(declared: Option, value: Any) -> Any:
    default = {} if value is REQUIRED else {"default": value}
    return field(repr=not declared.secret, metadata={"option": declared}, **default)


_OPTIONS: dict[str, dict[str, Option]] = {}
"""The name of a table → its options by their names."""

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(declare, same))
def table(cls: type[T]) -> type[T]:
    """Decorates a table, which becomes a frozen dataclass."""
    declared = dict(options(cls))  # of the table that it extends
    for name, entry in vars(cls).items():
        if isinstance(entry, Field) and "option" in entry.metadata:
            found: Option = entry.metadata["option"]
            flag = found.flag or name.replace("_", "-")
            declared[name] = replace(found, name=name, flag=flag)
    _OPTIONS[cls.__name__] = declared
    if __name__.startswith("conformance."):
        return dataclass(frozen=True, slots=True, kw_only=True)(cls)
    return cls


def options(table: type) -> dict[str, Option]:
    """The options of a table, or of a class made of one, by their names and in its order."""
    return next((_OPTIONS[cls.__name__] for cls in table.__mro__ if cls.__name__ in _OPTIONS), {})


def pick(table: type, *names: str, **changes: Any) -> list[Option]:
    """Some options of a table, for a command that shares them, with these changes."""
    return [replace(options(table)[name], **changes) for name in names]


@table
class RunOptions:
    """The options of a run against either side. `timeout` is in seconds, for the whole run.

    `fuzz` is the number of examples for each fuzz rule; `examples` is the folder for failing examples,
    which the next run tries first, or None.
    """

    secret: Secret = declare(
        "What messages are signed with; or env:NAME, file:PATH.",
        Kind.SECRET,
        short=True,
        target=True,
    )
    dialect: Dialect = declare(
        "A dialect's name or its file.",
        Kind.DIALECT,
        default="guide",
        value=REQUIRED,
        short=True,
        target=True,
    )
    rules: tuple[str, ...] = declare(
        "Only these rules (repeatable).", metavar="GLOB", many=True, short=True, default=()
    )
    strict: bool = declare("A broken SHOULD fails too.", Kind.FLAG, default=False)
    fuzz: int = declare(
        "Examples for each fuzz rule, or drawn messages for a sender; 0 turns them off.",
        Kind.WHOLE,
        default=FUZZ,
        low=0,
        short=True,
    )
    seed: int = declare("A number, or `random`.", Kind.SEED, default=1, low=0)
    concurrency: int = declare("Requests in flight.", Kind.WHOLE, default=16, low=1)
    timeout: float = declare("Seconds for the whole run.", Kind.NUMBER, default=120.0, above=0)
    restart_command: str | None = declare(
        "Kills the target hard and starts it again.",
        Kind.COMMAND,
        short=True,
        target=True,
        default=None,
    )
    ca: Path | None = declare(
        "Certificates to trust besides the system's.", Kind.PATH, target=True, default=None
    )
    scenarios: tuple[Path, ...] = declare(
        "Your own scenarios (repeatable).",
        Kind.PATH,
        metavar="DIR",
        many=True,
        pytest=None,
        default=(),
    )
    examples: Path | None = None
    scenario_files: tuple[Path, ...] = ()


@table
class ReceiverTable(RunOptions):
    """The options of a run against a receiver. The values of `headers` are secret."""

    url: str = declare(
        "The receiver to judge.", Kind.URL, argument=True, pytest="endpoint", short=True
    )
    observer_url: str | None = declare(
        'With {{msgId}}; answers {{"count": N}}.', Kind.OBSERVER, short=True, default=None
    )
    also_url: str | None = declare(
        "Another instance of the same service.", Kind.URL, short=True, default=None
    )
    headers: Headers = declare(
        "Sent with every request (repeatable).", Kind.HEADER, flag="header", many=True, default=()
    )


@table
class SenderTable(RunOptions):
    """The options of a run against a sender. `api_url` is the base of Config, List, Test and Update; the
    suite's configurations pass `secret` to the sender. Message events reach the sender through `emit_url`
    or `emit_command`. The mock receiver listens on `listen` (host and port), with https if there are
    `tls_cert` and `tls_key`; the sender reaches it at `public_url`."""

    api_url: str = declare(
        "The API of the sender to judge.",
        Kind.URL,
        metavar="API_URL",
        argument=True,
        pytest="sender-url",
        short=True,
    )
    emit_url: str | None = declare(
        "Takes one message event as JSON; 2xx: accepted.", Kind.URL, short=True, default=None
    )
    emit_command: str | None = declare(
        "Takes the event on its standard input.", Kind.COMMAND, default=None
    )
    api_key: Secret | None = declare(
        "Sent as ?key=K; or env:NAME, file:PATH.", Kind.SECRET, metavar="K", default=None
    )
    tls_cert: Path | None = declare(
        "The mock receiver on https: a certificate that the sender trusts.", Kind.PATH, default=None
    )
    tls_key: Path | None = declare("The certificate's key.", Kind.PATH, default=None)
    listen: tuple[str, int] = declare(
        "Where the mock receiver listens.",
        Kind.ADDRESS,
        default="127.0.0.1:0",
        value=("127.0.0.1", 0),
    )
    public_url: str | None = declare(
        "How the sender reaches the mock receiver.", Kind.URL, default=None
    )


@table
class ReportOptions:
    """The options of every command that ends in a report: its files, and how it is printed."""

    json: Path | None = declare("Write the report as JSON.", Kind.PATH, pytest=None, default=None)
    junit: Path | None = declare(
        "Write the report as JUnit XML.", Kind.PATH, pytest=None, default=None
    )
    html: Path | None = declare(
        "Write the report as one HTML file.", Kind.PATH, pytest=None, default=None
    )
    trace: Path | None = declare(
        "Write every exchange to this SQLite file.", Kind.PATH, default=None
    )
    redact: bool = declare(
        "Keep contents and names out of the trace.", Kind.FLAG, pytest=None, default=False
    )
    lang: Language = declare("Language of texts.", Kind.LANGUAGE, default=LANGUAGES[0], pytest=None)
    quiet: bool = declare("Print only the verdict.", Kind.FLAG, pytest=None, default=False)


PYTEST = (RunOptions, ReceiverTable, SenderTable, ReportOptions)
"""The tables whose options pytest has, except those whose `pytest` is None."""


def pytest_options() -> dict[str, Option]:
    """The options of pytest by their names. None is required there: embedded parts stand in for targets."""
    return {
        name: replace(declared, default=None) if declared.required else declared
        for table in PYTEST
        for name, declared in options(table).items()
        if declared.pytest is not None
    }
