"""The command line. Each command imports what it needs: `--help` must not pay for the engine."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from conformance import __version__
from conformance.cli.trace import trace
from conformance.model.errors import InputError

if TYPE_CHECKING:
    from conformance.engine.receiver.run import ReceiverRun
    from conformance.engine.sender.run import SenderRun
    from conformance.model.report import Report
    from conformance.reporting.files import Files

T = TypeVar("T")
FILE = click.Path(path_type=Path)
PORT = click.IntRange(0, 65535)
LANGUAGE = click.Choice(["en", "zh-Hant"])


class _Group(click.Group):
    """Turns what the user gave wrongly into one line and status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as fault:
            click.echo(f"hookproof: {fault}", err=True)
            ctx.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hookproof")
def main() -> None:
    """Judge webhooks of the WeChat-message protocol from outside."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is spelled out
            stream.reconfigure(errors="backslashreplace")
    # Tables that Hypothesis makes once belong to the user's caches, not to the working directory.
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", f"{caches}/hookproof/hypothesis")


main.add_command(trace)


class _Check(click.Group):
    """Knows a URL that was given where the side is missing."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0].startswith(("http://", "https://")):
            raise InputError(
                f"check: {args[0]} stands where `receiver` or `sender` must: did you mean "
                "`hookproof check receiver URL`, or `hookproof check sender API_URL`?"
            )
        return super().resolve_command(ctx, args)


@main.group(cls=_Check)
def check() -> None:
    """Judge a live endpoint."""


@main.group()
def serve() -> None:
    """Run a reference part."""


def _report_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every command that ends in a report."""
    for option in (
        click.option("--quiet", is_flag=True, help="Print the verdict alone."),
        click.option("--lang", type=LANGUAGE, default="en", help="Language of texts."),
        click.option("--redact", is_flag=True, help="The trace without contents and names."),
        click.option("--trace", type=FILE, help="Write every exchange to this SQLite file."),
        click.option("--html", type=FILE, help="Write the report as one HTML file."),
        click.option("--junit", type=FILE, help="Write the report as JUnit XML."),
        click.option("--json", type=FILE, help="Write the report as JSON."),
    ):
        command = option(command)
    return command


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of both `check` commands."""
    for option in (
        click.option(
            "--scenarios", multiple=True, type=FILE, metavar="DIR", help="Your own scenarios."
        ),
        click.option("--ca", type=FILE, help="Certificates to trust beside the system's."),
        click.option(
            "--timeout", default=120.0, show_default=True, help="Seconds for the whole run."
        ),
        click.option("--concurrency", default=16, show_default=True, help="Requests in flight."),
        click.option("--seed", default="1", show_default=True, help="A number, or `random`."),
        click.option(
            "--fuzz",
            type=click.IntRange(min=0),
            default=200,
            show_default=True,
            help="Examples for each fuzz rule, or drawn messages for a sender; 0 turns them off.",
        ),
        click.option("--strict", is_flag=True, help="A broken SHOULD fails too."),
        click.option(
            "--rules", multiple=True, metavar="GLOB", help="Only these rules (repeatable)."
        ),
        click.option(
            "--dialect", default="guide", show_default=True, help="A dialect's name or its file."
        ),
    ):
        command = option(command)
    return command


def _shared(given: dict[str, Any]) -> dict[str, Any]:
    """What both `check` commands tell a run."""
    from conformance.options.run import EXAMPLES, read_seed
    from conformance.options.secrets import read_secret
    from conformance.scenario.dialects import load

    return {
        "secret": read_secret(given["secret"]),
        "dialect": load(given["dialect"]),
        "rules": given["rules"],
        "strict": given["strict"],
        "seed": read_seed(given["seed"]),
        "fuzz": given["fuzz"],
        "examples": EXAMPLES,
        "concurrency": given["concurrency"],
        "timeout": given["timeout"],
        "restart_command": given["restart_command"],
        "ca": given["ca"],
        "scenarios": given["scenarios"],
    }


@check.command("receiver", short_help="Judge the receiver at a URL.")
@click.argument("url")
@click.option("--secret", required=True, help="What it verifies with; or env:NAME, file:PATH.")
@click.option("--observer-url", metavar="TEMPLATE", help='With {msgId}; answers {"count": N}.')
@click.option(
    "--restart-command", metavar="CMD", help="Kills the receiver hard and starts it again."
)
@click.option("--also-url", metavar="URL", help="Another instance of the same service.")
@click.option(
    "--header", "headers", multiple=True, metavar="'K: V'", help="Sent with every request."
)
@_run_options
@_report_options
def check_receiver(**given: Any) -> None:
    """Judge the receiver at URL: every rule that it keeps or breaks, why, and how to mend it."""
    from conformance.options.receiver import Options, read_header

    options = Options(
        url=given["url"],
        observer_url=given["observer_url"],
        also_url=given["also_url"],
        headers=tuple(read_header(line) for line in given["headers"]),
        **_shared(given),
    )
    from conformance.engine.receiver.run import ReceiverRun

    _judge(ReceiverRun(options, language=given["lang"]), given)


@check.command("sender", short_help="Judge the sender behind an API.")
@click.argument("api_url")
@click.option("--secret", required=True, help="What it is to sign with; or env:NAME, file:PATH.")
@click.option("--emit-url", metavar="URL", help="Takes one message event as JSON; 2xx: accepted.")
@click.option("--emit-command", metavar="CMD", help="Takes the event on its standard input.")
@click.option("--restart-command", metavar="CMD", help="Kills the sender hard and starts it again.")
@click.option("--api-key", metavar="K", help="Sent as ?key=K; or env:NAME, file:PATH.")
@click.option("--tls-cert", type=FILE, help="The mock receiver on https: a certificate, …")
@click.option("--tls-key", type=FILE, help="… which the sender trusts, and its key.")
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the mock receiver listens.",
)
@click.option("--public-url", metavar="URL", help="How the sender reaches the mock receiver.")
@_run_options
@_report_options
def check_sender(**given: Any) -> None:
    """Judge the sender whose Config, List, Test and Update stand under API_URL: what its deliveries
    get wrong on the wire, why, and how to mend it. It is given configurations that point to a mock
    receiver, and loses them again."""
    from conformance.options.secrets import read_secret
    from conformance.options.sender import SenderOptions, read_listen

    key = given["api_key"]
    options = SenderOptions(
        api_url=given["api_url"],
        emit_url=given["emit_url"],
        emit_command=given["emit_command"],
        api_key=read_secret(key, "--api-key") if key is not None else None,
        tls_cert=given["tls_cert"],
        tls_key=given["tls_key"],
        listen=read_listen(given["listen"]),
        public_url=given["public_url"],
        **_shared(given),
    )
    from conformance.engine.sender.run import SenderRun

    _judge(SenderRun(options, language=given["lang"]), given)


def _judge(run: ReceiverRun | SenderRun, given: dict[str, Any]) -> None:
    """Run, show, write the files, and leave with the verdict's status."""
    from conformance.reporting.progress import progress
    from conformance.reporting.terminal import tell

    files = _files(given)
    with progress(len(run.keys), quiet=given["quiet"]) as advance:
        run.listen(advance)
        report = _run(run.report())
    tell(report, quiet=given["quiet"])
    files.write(report)  # what cannot be written takes nothing from what was told
    sys.exit(report.exit_status)


def _files(given: dict[str, Any]) -> Files:
    """The files that are wanted, once it is seen that they can be written. Raises InputError."""
    from conformance.reporting.files import Files

    names = ("json", "junit", "html", "trace", "redact")
    files = Files(**{name: given[name] for name in names})
    files.check()
    return files


@main.command(short_help="Judge the embedded reference parts.")
@_report_options
def demo(**given: Any) -> None:
    """Judge the embedded reference receiver and the embedded reference sender, and write
    hookproof-report.html. Files about the sender have -sender in their names."""
    from conformance.engine.receiver.run import ReceiverRun
    from conformance.engine.sender.run import SenderRun
    from conformance.gallery.reference import reference_receiver, reference_sender
    from conformance.reporting.terminal import tell

    files = _files({**given, "html": given["html"] or Path("hookproof-report.html")})
    files.about("sender").check()

    async def receiver() -> Report:
        async with reference_receiver() as options:
            return await ReceiverRun(options, language=given["lang"]).report()

    async def sender() -> Report:
        async with reference_sender() as options:
            return await SenderRun(options, language=given["lang"]).report()

    status = 0
    for judged, each in ((receiver, files), (sender, files.about("sender"))):
        report = _run(judged())
        tell(report, quiet=given["quiet"])
        each.write(report)
        click.echo(f"The report: {each.html}")
        status = max(status, report.exit_status)
    sys.exit(status)


@main.command()
@click.option("--json", "shape", flag_value="json", help="The whole catalogue as JSON.")
@click.option("--markdown", "shape", flag_value="markdown", help="The whole of it as a page.")
@click.option("--lang", type=LANGUAGE, default="en", help="Language of texts.")
def rules(shape: str | None, lang: str) -> None:
    """The catalogue: id, level, text, source."""
    from conformance.reporting.catalogue import as_data, as_markdown, as_text

    shapes = {"json": as_data, "markdown": as_markdown}
    click.echo(shapes.get(shape or "", as_text)(lang).rstrip("\n"))


@main.command(short_help="Prove the suite on faulty and correct peers.")
@click.option("--only", multiple=True, metavar="GLOB", help="Only these peers (repeatable).")
@click.option("--record", type=FILE, help="Write what comes of every rule and case.")
@click.option("--compare", type=FILE, help="Print what differs from such a record.")
@click.option("--lang", type=LANGUAGE, default="en", help="Language of texts.")
def selftest(only: tuple[str, ...], record: Path | None, compare: Path | None, lang: str) -> None:
    """The suite against its gallery of faulty and correct peers: caught, missed, accused.

    With --record or --compare each peer meets every rule, without fuzzing, and what comes out is kept
    or compared with what was kept: the outcome of each rule and case, and the exit status. The exit
    status is 0 where nothing differs, and 1 otherwise.

    Outcomes that go by the clock may depend on what else the machine does. So --record looks at each
    peer twice, and once more by itself where that does not agree, and keeps every outcome that it saw;
    and what --compare finds to differ it looks at again by itself, twice at most, and reports only
    what differs at every look. That tells two builds apart; it is no verdict on a peer. With --only,
    --record keeps the other peers that FILE has.
    """
    if record is not None and compare is not None:
        raise InputError("--record and --compare: give one of them")
    if record is not None:
        _record(record, only, lang)
    elif compare is not None:
        _compare(compare, only, lang)
    else:
        from conformance.gallery.matrix import run_matrix
        from conformance.reporting.selftest import show

        matrix = _run(run_matrix(only))
        show(matrix, lang)
        sys.exit(0 if matrix.holds else 1)


def _record(path: Path, only: tuple[str, ...], lang: str) -> None:
    from conformance.gallery.record_run import read, take, write
    from conformance.reporting.files import check_writable
    from conformance.reporting.progress import looks
    from conformance.reporting.selftest_record import show_recorded

    check_writable("record", path)
    kept = read(path, "--record") if only and path.exists() else {}
    with looks() as progress:
        taken = _run(take(only, progress))
    write(path, taken.record, kept)
    show_recorded(taken, path, lang)


def _compare(path: Path, only: tuple[str, ...], lang: str) -> None:
    from conformance.gallery.record_run import compare, read
    from conformance.reporting.progress import looks
    from conformance.reporting.selftest_record import show_compared

    record = read(path, "--compare")
    with looks() as progress:
        found = _run(compare(record, only, progress))
    show_compared(found, path, lang)
    sys.exit(1 if found.differences else 0)


@main.command("load", short_help="Load a receiver, and judge what it did.")
@click.argument("url")
@click.argument("locust", nargs=-1, type=click.UNPROCESSED)
@click.option("--secret", required=True, help="What it verifies with; or env:NAME, file:PATH.")
@click.option("--users", default=50, show_default=True, help="Users at once.")
@click.option("--spawn-rate", default=50.0, show_default=True, help="Users to start a second.")
@click.option("--run-time", default="60s", show_default=True, help="As in 90s, 5m, 1h30m.")
@click.option(
    "--user-rate", type=float, help="Requests a second of each user; else as fast as answers come."
)
@click.option("--observer-url", metavar="TEMPLATE", help='With {msgId}; answers {"count": N}.')
@click.option("--max-p99", type=float, metavar="SECONDS", help="At most; else the deadline.")
@click.option("--max-fail-ratio", type=float, default=0.0, help="Share of requests that may fail.")
@click.option("--deadline", type=float, metavar="SECONDS", help="Else the dialect's own: 5.")
@click.option("--mix", metavar="NAME=N,…", help="ordinary=7,repeats=1,forgeries=1,storms=1")
@click.option("--dialect", default="guide", show_default=True, help="A dialect's name or its file.")
@click.option("--seed", default="1", show_default=True, help="A number, or `random`.")
@click.option("--ca", type=FILE, help="Certificates to trust beside the system's.")
@click.option("--json", type=FILE, help="Write the verdict and the figures as JSON.")
@click.option("--html", type=FILE, help="Write them as one HTML file, with charts.")
@click.option("--lang", type=LANGUAGE, default="en", help="Language of texts.")
@click.option("--quiet", is_flag=True, help="Print the verdict alone.")
def load_receiver(
    url: str, locust: tuple[str, ...], secret: str, quiet: bool, seed: str, **given: Any
) -> None:
    """Load the receiver at URL with Locust, then tell what was lost, doubled, or wrongly let in.

    What stands after `--` goes to Locust as it is, as in `-- --processes 4 --csv figures`.
    """
    from conformance.load.launch import load
    from conformance.options.run import read_seed
    from conformance.reporting.files import Files
    from conformance.reporting.load import plain, write

    files = Files(json=given.pop("json"), html=given.pop("html"))
    files.check()
    options = {name.replace("_", "-"): value for name, value in given.items()}
    options |= {"seed": read_seed(seed), "progress": int(sys.stderr.isatty() and not quiet)}

    def print_line(line: str) -> None:
        click.echo(line, err=True)

    report, status = load(url, secret, options, locust, print_line)
    if report is not None:
        write(report, files)
        click.echo(plain(report, quiet=quiet), nl=False)
    sys.exit(status)


@serve.command("receiver")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=5000, show_default=True, help="0 takes a free one.")
@click.option("--secret", required=True, help="What it verifies with; or env:NAME, file:PATH.")
@click.option("--db", metavar="FILE", help="Keep deliveries in this SQLite file; else in memory.")
@click.option("--dialect", default="guide", show_default=True, help="A dialect's name or its file.")
def serve_receiver(host: str, port: int, secret: str, db: str | None, dialect: str) -> None:
    """Run the reference receiver until it is stopped."""
    from conformance.live.page import Live
    from conformance.options.secrets import read_secret
    from conformance.protocol.tampering import Signer
    from conformance.receiver.app import Settings, serve
    from conformance.scenario.dialects import load

    signer = Signer(load(dialect), read_secret(secret))
    settings = Settings(host=host, port=port, follower=Live(signer, host))
    _run(serve(signer, db or ":memory:", settings))


@serve.command("sender")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=5001, show_default=True, help="0 takes a free one.")
@click.option("--db", metavar="FILE", help="Keep its queue in this SQLite file; else in memory.")
@click.option("--api-key", help="Each call needs ?key= with it; or env:NAME, file:PATH.")
@click.option("--backoff-base", default=1.0, show_default=True, help="Seconds of the first wait.")
@click.option(
    "--deny-private", is_flag=True, help="Refuse loopback, private, link-local addresses."
)
@click.option("--dialect", default="guide", show_default=True, help="A dialect's name or its file.")
def serve_sender(
    host: str,
    port: int,
    db: str | None,
    api_key: str | None,
    backoff_base: float,
    deny_private: bool,
    dialect: str,
) -> None:
    """Run the reference sender until it is stopped."""
    from conformance.options.secrets import read_secret
    from conformance.protocol.delivery import Backoff
    from conformance.scenario.dialects import load
    from conformance.sender.app import Settings, serve
    from conformance.sender.worker import Pace

    if not 0 < backoff_base <= Backoff().cap:
        raise InputError(
            f"--backoff-base: must be more than 0 and at most {Backoff().cap:g} seconds"
        )
    settings = Settings(
        host=host,
        port=port,
        db=db or ":memory:",
        pace=Pace(backoff=Backoff(base=backoff_base)),
        deny_private=deny_private,
        api_key=read_secret(api_key, "--api-key") if api_key is not None else None,
    )
    _run(serve(load(dialect), settings))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`, on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


if __name__ == "__main__":
    main()
