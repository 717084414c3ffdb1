"""The report files that a run was asked for: looked at before it, written after it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import InputError
from conformance.render.html import page
from conformance.render.junit import junit
from conformance.report import Report
from conformance.trace import check_place


@dataclass(frozen=True, slots=True)
class Files:
    """Where each kind of report goes; None for those that nobody wants."""

    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None
    trace: Path | None = None

    def about(self, side: str) -> Files:
        """The same files, under names that say which side they are about."""
        every = (self.json, self.junit, self.html, self.trace)
        return Files(*(each and each.with_stem(f"{each.stem}-{side}") for each in every))

    def check(self) -> None:
        """Raise InputError for a path that cannot be written; said before the run, not after it."""
        for option, path in self._wanted():
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
                    f"--{option}: {path} cannot be written: {fault.strerror or fault}"
                ) from None
        if self.trace is not None:
            check_place(self.trace)

    def write(self, report: Report) -> None:
        """Write every file that is wanted, whatever the verdict. Raises InputError."""
        if self.json is not None:
            text = json.dumps(report.as_json(), ensure_ascii=False, indent=1)
            _write("json", self.json, text + "\n")
        if self.junit is not None:
            _write("junit", self.junit, junit(report))
        if self.html is not None:
            _write("html", self.html, page(report))
        if self.trace is not None:
            report.trace.save(self.trace)

    def _wanted(self) -> list[tuple[str, Path]]:
        every = {"json": self.json, "junit": self.junit, "html": self.html, "trace": self.trace}
        return [(option, path) for option, path in every.items() if path is not None]


def _write(option: str, path: Path, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    try:
        path.write_bytes(data)
    except OSError as fault:
        raise InputError(f"--{option}: {path} cannot be written: {fault.strerror}") from None
