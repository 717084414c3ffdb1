"""Templates of pages, and the Content-Security-Policy that lets a page run nothing but its own.

Style and script of a page stand in files of their own beside its template, and go into it whole:
each is allowed by its digest, and nothing else is.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from conformance.model.escaping import visible
from conformance.protocol.resources import PACKAGE
from conformance.reporting.pages.escaped import both, marked
from conformance.reporting.pages.translations import SHARED

_CLOSED = {
    "default-src": "'none'",
    "img-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    # No text can become markup by mistake: every door to innerHTML is shut.
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


def policy(style: str, script: str, more: Mapping[str, str] | None = None) -> str:
    """The policy of a page with this style and this script inline, and with what `more` opens."""
    directives = {
        **_CLOSED,
        "style-src": f"'{digest(style)}'",
        "script-src": f"'{digest(script)}'",
        **(more or {}),
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def digest(text: str) -> str:
    """The source expression by which a policy allows `text` inline."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def asset(*names: str) -> Markup:
    """Style sheets or scripts of this package as one text; names are paths in it."""
    texts = [(PACKAGE / name).read_text(encoding="utf-8") for name in names]
    # They stand in raw text elements, where nothing is escaped.
    return Markup("\n".join(texts))  # noqa: S704 - files of our own


@cache
def environment(folder: str) -> Environment:
    """The templates in `folder` of this package, and those that all pages share."""
    templates = Environment(
        loader=ChoiceLoader(
            [PackageLoader("conformance", each) for each in (folder, "reporting/pages")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(both=both, digest=digest, marked=marked, visible=visible)
    templates.globals["shared"] = SHARED
    return templates
