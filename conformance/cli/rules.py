"""`hookproof rules`: print the catalogue of rules."""

from __future__ import annotations

import click

from conformance.cli.options import shared
from conformance.model.language import Language
from conformance.options.table import ReportOptions, pick


@click.command(params=shared(pick(ReportOptions, "lang")))
@click.option("--json", "shape", flag_value="json", help="The whole catalogue as JSON.")
@click.option("--markdown", "shape", flag_value="markdown", help="The whole catalogue as a page.")
def rules(shape: str | None, lang: Language) -> None:
    """The catalogue: id, level, text, source."""
    from conformance.reporting.catalogue import as_data, as_markdown, as_text

    shapes = {"json": as_data, "markdown": as_markdown}
    click.echo(shapes.get(shape or "", as_text)(lang).rstrip("\n"))
