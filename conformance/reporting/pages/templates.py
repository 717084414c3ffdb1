"""Templates of pages, and the Content-Security-Policy that lets a page run only its own script.

Style and script of a page are files beside its template, and are inlined into it. The policy allows
each by its digest, and nothing else.
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
from conformance.reporting.languages import in_chinese, in_english
from conformance.reporting.pages.escaped_text import both, escape_text
from conformance.reporting.pages.translations import SHARED

_CLOSED = {
    "default-src": "'none'",
    "img-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    # Text cannot become markup by mistake: innerHTML and the like are blocked.
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


def policy(style: str, script: str, more: Mapping[str, str] | None = None) -> str:
    """The policy of a page with this style and script inline, and with the directives in `more`."""
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
    """Style sheets or scripts of this package as one text; `names` are paths in the package."""
    texts = [(PACKAGE / name).read_text(encoding="utf-8") for name in names]
    # They go into raw text elements, where nothing is escaped.
    return Markup("\n".join(texts))  # noqa: S704 - files of our own


@cache
def environment(folder: str) -> Environment:
    """The templates in `folder` of this package, and the templates that all pages share."""
    templates = Environment(
        loader=ChoiceLoader(
            [PackageLoader("conformance", path) for path in (folder, "reporting/pages")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(
        both=both,
        digest=digest,
        escape_text=escape_text,
        in_chinese=in_chinese,
        in_english=in_english,
        visible=visible,
    )
    templates.globals["shared"] = SHARED
    return templates
