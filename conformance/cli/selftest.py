"""`hookproof selftest`: run the suite against its gallery, record the outcomes, compare them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from conformance.cli.event_loop import run_async
from conformance.cli.options import FILE, shared
from conformance.model.errors import InputError
from conformance.model.language import Language
from conformance.options.table import ReportOptions, pick


@click.command(
    params=shared(pick(ReportOptions, "lang")),
    short_help="Prove the suite on faulty and correct peers.",
)
@click.option("--only", multiple=True, metavar="GLOB", help="Only these peers (repeatable).")
@click.option("--record", type=FILE, help="Write the outcome of every rule and case.")
@click.option("--compare", type=FILE, help="Print what differs from such a record.")
def selftest(
    only: tuple[str, ...], record: Path | None, compare: Path | None, lang: Language
) -> None:
    """Run the suite against its gallery of faulty and correct peers: caught, missed, accused.

    With --record or --compare each peer meets every rule, without fuzzing. The outcome of each rule
    and case, and the exit status, are recorded or compared with a record. The exit status is 0 if
    nothing differs, and 1 otherwise.

    A few peers take long and run only where --only has their full name.

    Outcomes that depend on the clock may vary with the machine's load. So --record judges each peer
    twice, and once more by itself if the two disagree, and keeps every outcome that it saw. --compare
    judges a peer that differs again by itself, twice at most, and reports only what differs every
    time. That tells two builds apart; it is no verdict on a peer. With --only, --record keeps the
    other peers in FILE.
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

        matrix = run_async(run_matrix(only))
        show(matrix, lang)
        sys.exit(0 if matrix.holds else 1)


def _record(path: Path, only: tuple[str, ...], lang: Language) -> None:
    from conformance.gallery.record_run import read, take, write
    from conformance.reporting.files import check_writable
    from conformance.reporting.progress import looks
    from conformance.reporting.selftest import show_recorded

    check_writable("record", path)
    previous = read(path, "--record") if only and path.exists() else {}
    with looks() as progress:
        recording = run_async(take(only, progress))
    write(path, recording.record, previous)
    show_recorded(recording, path, lang)


def _compare(path: Path, only: tuple[str, ...], lang: Language) -> None:
    from conformance.gallery.record_run import compare, read
    from conformance.reporting.progress import looks
    from conformance.reporting.selftest import show_compared

    record = read(path, "--compare")
    with looks() as progress:
        comparison = run_async(compare(record, only, progress))
    show_compared(comparison, path, lang)
    sys.exit(1 if comparison.differences else 0)
