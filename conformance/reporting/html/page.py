"""Reports as one HTML page that needs nothing else, and a report as a table for Jupyter.

Colours and layout stand in the templates; what may be shown of a target is made in `evidence`.
"""

from __future__ import annotations

from collections import Counter

from conformance import __version__
from conformance.model.report import Report
from conformance.model.text import Text
from conformance.reporting.html.evidence import LONGEST_LINE, Evidence, group_name
from conformance.reporting.html.exchange import milliseconds
from conformance.reporting.html.overview import ORDER, answer_times, bar, groups
from conformance.reporting.pages.escaped import marked
from conformance.reporting.pages.templates import asset, environment, policy
from conformance.reporting.terminal import NAMES
from conformance.reporting.translations import OUTCOMES, SIDES, WORDS, statement

_STYLE = ("reporting/pages/base.css", "reporting/html/report.css")
_SCRIPT = ("reporting/pages/switches.js", "reporting/html/report.js")
_RECEIVER = "receiver"


def page(*reports: Report) -> str:
    """Whole reports as one file, nothing from the network: one, or one of each side.

    Texts are there in both languages; the page begins with that of the first report. It can be read
    and printed where scripts are not allowed; with one it can be searched and filtered.
    """
    css, script = asset(*_STYLE), asset(*_SCRIPT)
    results = [each for report in reports for each in report.results]
    counted = Counter(each.outcome for each in results)
    counts = {outcome: counted[outcome] for outcome in ORDER}
    judged = [each for report in reports if report.side == _RECEIVER for each in report.trace]
    return (
        environment("reporting/html")
        .get_template("report.html.j2")
        .render(
            reports=reports,
            language=reports[0].language,
            title=_title(reports),
            sections=Evidence(reports).sections(),
            total=len(results),
            counts=counts,
            bar=bar(counts),
            groups=groups(reports),
            times=answer_times(judged),
            sides=list(dict.fromkeys(each.side for each in reports)),
            side_names=SIDES,
            order=ORDER,
            colon=Text(": ", "："),
            w=WORDS,
            outcomes=OUTCOMES,
            statement=statement,
            group_name=group_name,
            milliseconds=milliseconds,
            longest_line=LONGEST_LINE,
            version=__version__,
            css=css,
            script=script,
            policy=policy(css, script),
        )
    )


def fragment(report: Report) -> str:
    """A compact table for a notebook, styled in place: all that is not right, counts of the rest.

    Texts are in the report's language.
    """
    language = report.language
    summary = report.summary()
    return (
        environment("reporting/html")
        .get_template("fragment.html.j2")
        .render(
            report=report,
            rows=sorted(report.results, key=lambda each: ORDER.index(each.outcome)),
            longest_line=LONGEST_LINE,
            w={name: text.in_(language) for name, text in WORDS.items()},
            outcomes={outcome: text.in_(language) for outcome, text in OUTCOMES.items()},
            names={outcome: text.in_(language) for outcome, text in NAMES.items()},
            t=lambda text: marked(text.in_(language)),
            statement=statement(report).in_(language),
            counts={outcome: summary[outcome] for outcome in ORDER},
        )
    )


def _title(reports: tuple[Report, ...]) -> Text:
    said = [statement(each) + Text(f" {each.target}", f" {each.target}") for each in reports]
    both = Text(" ".join(each.en for each in said), " ".join(each.zh for each in said))
    return both + Text(" · Hookproof", " · Hookproof")
