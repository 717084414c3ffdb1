"""The settings of a load run, read from its options in Locust and validated once.

The options appear on Locust's command line and in its web form. So each has a string or a number as
its default, and an empty string or 0 means that the option is not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.model.errors import InputError
from conformance.model.language import LANGUAGES
from conformance.model.sentence import Sentence
from conformance.options.secrets import read_secret
from conformance.options.urls import check_observer, check_url
from conformance.protocol.dialect import Dialect
from conformance.protocol.signing import Signer
from conformance.scenario import dialects

MIX = "ordinary=7,repeats=1,forgeries=1,storms=1"
USERS = tuple(entry.partition("=")[0] for entry in MIX.split(","))


@dataclass(frozen=True, slots=True)
class Option:
    """An option of Locust's. A `secret` one is a password field in the web form; an `internal` one is not
    shown."""

    name: str
    default: str | float
    help: str
    secret: bool = False
    internal: bool = False


OPTIONS = (
    Option("secret", "", "What the receiver verifies with; or env:NAME, file:PATH.", secret=True),
    Option("path", "/webhook/receiver", "The path on the host that receives deliveries."),
    Option("dialect", "guide", "A dialect's name or its file."),
    Option("deadline", 0.0, "Seconds for a whole answer; 0: the dialect's own."),
    Option("observer-url", "", 'With {msgId}; answers {"count": N}: how often it took effect.'),
    Option("mix", MIX, "How many users of each kind."),
    Option(
        "user-rate", 0.0, "Requests a second that each user offers; 0: as fast as answers come."
    ),
    Option("repeat-within", 1000, "A repeat comes at most so many messages after the first."),
    Option("seed", 1, "The same seed draws the same messages."),
    Option("max-p99", 0.0, "Seconds that 99 of 100 answers may take; 0: not judged."),
    Option("max-fail-ratio", 0.0, "Share of valid requests that may fail."),
    Option("effect-timeout", 10.0, "Seconds after the last message that effects are waited for."),
    Option("strict", 0, "1: a p99 above --max-p99 fails."),
    Option("ca", "", "Certificates to trust beside the system's."),
    Option("lang", "en", "Language of texts: en or zh-Hant."),
    Option("verdict-json", "", "Write the report as JSON to this file."),
    Option("verdict-junit", "", "Write it as JUnit XML."),
    Option("verdict-html", "", "Write it as one HTML file."),
    Option("verdict-trace", "", "Write a sample of the exchanges to this SQLite file."),
    Option("redact", 0, "1: keep contents and names out of the trace.", internal=True),
    Option("quiet", 0, "1: print only the verdict.", internal=True),
    Option("verdict-only", 0, "1: leave out Locust's own tables.", internal=True),
    Option("progress", 0, "1: print a line about the run now and then.", internal=True),
    # The master sends these to its workers.
    Option("run-id", 0, "The run's number in every message id.", internal=True),
    Option("run-workers", 1, "How many processes send.", internal=True),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run. Durations are seconds; `user_rate` is None for users without a pace."""

    host: str
    path: str
    signer: Signer
    deadline: float
    observer_url: str | None
    mix: Mapping[str, float]
    user_rate: float | None
    repeat_within: int
    seed: int
    max_p99: float | None
    max_fail_ratio: float
    effect_timeout: float
    strict: bool
    ca: Path | None

    @property
    def url(self) -> str:
        """The URL that receives deliveries."""
        return self.host + self.path

    @property
    def dialect(self) -> Dialect:
        """The dialect that they are signed in."""
        return self.signer.dialect


def read(host: str | None, options: Mapping[str, Any]) -> Settings:
    """The settings in Locust's parsed options. Raises InputError that names the option."""
    if not host:
        raise InputError("--host: give the receiver's, as in http://localhost:5000")
    host, path = host.rstrip("/"), str(options["path"])
    check_url("--host", host)
    if not path.startswith("/"):
        raise InputError("--path: {path!r} must start with a slash", path=path)
    check_url("--path", host + path)
    if not options["secret"]:
        raise InputError("--secret: give what the receiver verifies with; or env:NAME, file:PATH")
    dialect = dialects.load(str(options["dialect"]))
    deadline = _number(options, "deadline") or dialect.deadline
    observer_url = str(options["observer_url"]) or None
    if observer_url is not None:
        check_observer(observer_url)
    if options["lang"] not in LANGUAGES:
        raise InputError(
            "--lang: {language!r} is none of {languages}",
            language=str(options["lang"]),
            languages=", ".join(LANGUAGES),
        )
    ca = Path(str(options["ca"])) if options["ca"] else None
    if ca is not None and not ca.is_file():
        raise InputError("--ca: there is no file {ca}", ca=str(ca))
    return Settings(
        host=host,
        path=path,
        signer=Signer(dialect, read_secret(str(options["secret"]))),
        deadline=deadline,
        observer_url=observer_url,
        mix=_mix(str(options["mix"])),
        user_rate=_number(options, "user_rate") or None,
        repeat_within=int(_number(options, "repeat_within")),
        seed=int(_number(options, "seed")),
        max_p99=_number(options, "max_p99") or None,
        max_fail_ratio=_number(options, "max_fail_ratio"),
        effect_timeout=_number(options, "effect_timeout"),
        strict=bool(options["strict"]),
        ca=ca,
    )


def check_amounts(users: object, seconds: object) -> None:
    """Raises InputError for no users, or a run of no time, which Locust takes for one without an end."""
    if users == 0:
        raise InputError("--users: must be at least 1")
    if seconds == 0:
        raise InputError("--run-time: must be at least 1s")


def split(url: str) -> tuple[str, str]:
    """Split an endpoint's URL into the host and the path that Locust takes. Raises InputError."""
    check_url(Sentence("the endpoint"), url)
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{parts.scheme}://{parts.netloc}", path


def _number(options: Mapping[str, Any], name: str) -> float:
    try:
        number = float(options[name])
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        option = name.replace("_", "-")
        raise InputError(
            "--{option}: {value!r} must be a number, and not below 0",
            option=option,
            value=options[name],
        )
    return number


def _mix(text: str) -> dict[str, float]:
    mix = dict.fromkeys(USERS, 0.0)
    for entry in text.split(","):
        name, _, weight = (word.strip() for word in entry.partition("="))
        if name not in mix:
            near = get_close_matches(name, USERS, n=1)
            known = Sentence("there are {names}", names=", ".join(USERS))
            hint = Sentence("did you mean {name}?", name=near[0]) if near else known
            raise InputError(
                "--mix: there are no users called {name!r}; {hint}", name=name, hint=hint
            )
        mix[name] = _number({"mix": weight}, "mix")
    if not any(mix.values()):
        raise InputError(
            "--mix: {text!r} leaves no users; the default is {mix}", text=text, mix=MIX
        )
    return mix
