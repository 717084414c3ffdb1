"""What a load run is asked to do: Locust's options of it, validated here once.

The options stand in Locust's command line and in its web form, so that each has a text or a number
as its default, and an empty text or 0 stands for what is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.model.errors import InputError
from conformance.model.text import LANGUAGES
from conformance.options.secrets import read_secret
from conformance.options.urls import check_observer, check_url
from conformance.protocol.dialect import Dialect
from conformance.protocol.tampering import Signer
from conformance.scenario import dialects

MIX = "ordinary=7,repeats=1,forgeries=1,storms=1"
USERS = tuple(each.partition("=")[0] for each in MIX.split(","))


@dataclass(frozen=True, slots=True)
class Option:
    """An option of Locust's. `secret` is a password field in the web form, `inner` is not shown."""

    name: str
    default: str | float
    help: str
    secret: bool = False
    inner: bool = False


OPTIONS = (
    Option("secret", "", "What the receiver verifies with; or env:NAME, file:PATH.", secret=True),
    Option("path", "/webhook/receiver", "Where under the host deliveries go."),
    Option("dialect", "guide", "A dialect's name or its file."),
    Option("deadline", 0.0, "Seconds for a whole answer; 0: the dialect's own."),
    Option("observer-url", "", 'With {msgId}; answers {"count": N}: how often it took effect.'),
    Option("mix", MIX, "How many users of each kind."),
    Option(
        "user-rate", 0.0, "Requests a second that each user offers; 0: as fast as answers come."
    ),
    Option("repeat-within", 1000, "A repeat comes at most so many messages after the first."),
    Option("seed", 1, "The same seed says the same."),
    Option("max-p99", 0.0, "Seconds that 99 of 100 answers may take; 0: the deadline."),
    Option("max-fail-ratio", 0.0, "Share of valid requests that may fail."),
    Option("ca", "", "Certificates to trust beside the system's."),
    Option("lang", "en", "Language of texts: en or zh-Hant."),
    Option("verdict-json", "", "Write the verdict as JSON to this file."),
    Option("verdict-html", "", "Write the verdict as one HTML file."),
    Option("progress", 0, "1: a line about the run now and then.", inner=True),
    # What the master tells its workers.
    Option("run-id", 0, "The run's part of every message id.", inner=True),
    Option("run-workers", 1, "How many processes send.", inner=True),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """A run against a receiver. Durations are seconds; `user_rate` is None without a pace."""

    host: str
    path: str
    signer: Signer
    deadline: float
    observer_url: str | None
    mix: Mapping[str, float]
    user_rate: float | None
    repeat_within: int
    seed: int
    max_p99: float
    max_fail_ratio: float
    ca: Path | None
    language: str

    @property
    def url(self) -> str:
        """Where deliveries go."""
        return self.host + self.path

    @property
    def dialect(self) -> Dialect:
        """How they are signed."""
        return self.signer.dialect


def read(host: str | None, given: Mapping[str, Any]) -> Settings:
    """The settings in Locust's parsed options. Raises InputError, naming the option."""
    if not host:
        raise InputError("--host: give the receiver's, as in http://localhost:5000")
    host, path = host.rstrip("/"), str(given["path"])
    check_url("--host", host)
    if not path.startswith("/"):
        raise InputError(f"--path: {path!r} must start with a slash")
    check_url("--path", host + path)
    if not given["secret"]:
        raise InputError("--secret: give what the receiver verifies with; or env:NAME, file:PATH")
    dialect = dialects.load(str(given["dialect"]))
    deadline = _number(given, "deadline") or dialect.deadline
    observer_url = str(given["observer_url"]) or None
    if observer_url is not None:
        check_observer(observer_url)
    language = str(given["lang"])
    if language not in LANGUAGES:
        raise InputError(f"--lang: {language!r} is none of {', '.join(LANGUAGES)}")
    ca = Path(str(given["ca"])) if given["ca"] else None
    if ca is not None and not ca.is_file():
        raise InputError(f"--ca: there is no file {ca}")
    return Settings(
        host=host,
        path=path,
        signer=Signer(dialect, read_secret(str(given["secret"]))),
        deadline=deadline,
        observer_url=observer_url,
        mix=_mix(str(given["mix"])),
        user_rate=_number(given, "user_rate") or None,
        repeat_within=int(_number(given, "repeat_within")),
        seed=int(_number(given, "seed")),
        max_p99=_number(given, "max_p99") or deadline,
        max_fail_ratio=_number(given, "max_fail_ratio"),
        ca=ca,
        language=language,
    )


def split(url: str) -> tuple[str, str]:
    """The host and the path, as Locust takes them, of an endpoint's URL. Raises InputError."""
    check_url("the endpoint", url)
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{parts.scheme}://{parts.netloc}", path


def _number(given: Mapping[str, Any], name: str) -> float:
    try:
        number = float(given[name])
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        option = name.replace("_", "-")
        raise InputError(f"--{option}: {given[name]!r} must be a number, and not below 0")
    return number


def _mix(given: str) -> dict[str, float]:
    mix = dict.fromkeys(USERS, 0.0)
    for part in given.split(","):
        name, _, weight = (each.strip() for each in part.partition("="))
        if name not in mix:
            near = get_close_matches(name, USERS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(USERS)}"
            raise InputError(f"--mix: there are no users called {name!r}; {hint}")
        mix[name] = _number({"mix": weight}, "mix")
    if not any(mix.values()):
        raise InputError(f"--mix: {given!r} leaves no users; the default is {MIX}")
    return mix
