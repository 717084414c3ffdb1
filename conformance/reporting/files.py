"""The report files of a run: their paths are checked before it, and they are written after it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from conformance.model.errors import InputError
from conformance.model.report import Report
from conformance.reporting.html.page import page
from conformance.reporting.junit import junit
from conformance.trace import check_place


@dataclass(frozen=True, slots=True)
class Files:
    """Where each kind of report goes; None for no such file. With `redact` the exchanges are written
    without contents and names."""

    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None
    trace: Path | None = None
    redact: bool = False

    def about(self, side: str) -> Files:
        """The same files, with the side they are about in their names."""
        paths = (self.json, self.junit, self.html, self.trace)
        json, junit, html, trace = (
            path and path.with_stem(f"{path.stem}-{side}") for path in paths
        )
        return Files(json, junit, html, trace, self.redact)

    def check(self) -> None:
        """Raise InputError for a path that cannot be written, so that a run does not start in vain."""
        if self.redact and self.trace is None:
            raise InputError("--redact needs --trace: it hides what the trace holds")
        for option, path in self._paths():
            check_writable(option, path)
        if self.trace is not None:
            check_place(self.trace)

    def write(self, report: Report) -> None:
        """Write every file, whatever the verdict. If one cannot be written the others still are, and
        the first InputError is raised."""
        if self.redact:
            report = replace(report, trace=report.trace.redacted())
        faults = []
        for option, path in self._paths():
            try:
                _WRITERS[option](report, path)
            except InputError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]

    def _paths(self) -> list[tuple[str, Path]]:
        paths = {"json": self.json, "junit": self.junit, "html": self.html, "trace": self.trace}
        return [(option, path) for option, path in paths.items() if path is not None]


def check_writable(option: str, path: Path) -> None:
    """Raise InputError that names the option if no file can be written to `path`."""
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with path.open("ab"):
                pass
    except OSError as fault:
        raise InputError(
            "--{option}: {path} cannot be written: {reason}",
            option=option,
            path=str(path),
            reason=str(fault.strerror or fault),
        ) from None


def _json(report: Report, path: Path) -> None:
    text = json.dumps(report.as_json(), ensure_ascii=False, indent=1)
    put("json", path, text + "\n")


_WRITERS: dict[str, Callable[[Report, Path], None]] = {
    "json": _json,
    "junit": lambda report, path: put("junit", path, junit(report)),
    "html": lambda report, path: put("html", path, page(report)),
    "trace": lambda report, path: report.trace.save(path),
}


def put(option: str, path: Path, text: str | bytes) -> None:
    """Write a report file. Raises InputError that names the option."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    try:
        path.write_bytes(data)
    except OSError as fault:
        raise InputError(
            "--{option}: {path} cannot be written: {reason}",
            option=option,
            path=str(path),
            reason=str(fault.strerror),
        ) from None
