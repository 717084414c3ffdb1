"""Real Chromium for the tests of pages: started once for a module, a fresh profile for each page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# The browser itself loads nothing.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
PHONE, DESK = 360, 1400
VIEWS = [
    pytest.param(PHONE, False, id="phone-light"),
    pytest.param(DESK, True, id="desk-dark"),
    pytest.param(PHONE, True, id="phone-dark", marks=pytest.mark.soak),
    pytest.param(DESK, False, id="desk-light", marks=pytest.mark.soak),
]
"""Widths, and whether the theme is dark. Neither depends on the other: two views show both of each."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; without one the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian's package chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Pages:
    """Opens pages, and collects their errors."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.faults: list[str] = []
        self.requested: list[str] = []
        """URLs that pages requested."""

    def open(
        self, url: str, *, width: int = DESK, height: int = 900, dark: bool = False, **more: Any
    ) -> Any:
        """A page at `url` in a profile of its own."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
            **more,
        )
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self._note(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda fault: self._note(f"error: {fault}"))
        page.on("dialog", lambda dialog: self._note(f"error: dialog {dialog.message}"))
        page.on("request", lambda request: self.requested.append(request.url))
        page.goto(url)
        return page

    def close(self) -> None:
        """Close all pages."""
        for context in self._contexts:
            context.close()

    def _note(self, line: str) -> None:
        if line.startswith(("error", "warning")):
            self.faults.append(line)


def too_wide(page: Any) -> int:
    """Pixels by which the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def accessibility_faults(page: Any) -> list[str]:
    """What axe-core finds: obstacles for users of a keyboard or a screen reader, and low contrast."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    violations = axe.Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in violations
        for node in violation["nodes"]
    ]
