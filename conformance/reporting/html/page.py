"""Reports as one self-contained HTML page, and a report as a table for Jupyter.

Colours and layout are in the templates; `evidence` prepares what a target sent.
"""

from __future__ import annotations

from collections import Counter

from conformance import __version__
from conformance.model.report import Report
from conformance.model.sentence import EMPTY, Sentence, verbatim
from conformance.reporting.charts import ORDER, bar
from conformance.reporting.html.evidence import LONGEST_LINE, Evidence, group_name
from conformance.reporting.html.exchange import milliseconds
from conformance.reporting.html.overview import answer_times, groups
from conformance.reporting.load import charts_of, figures_of
from conformance.reporting.pages.escaped_text import escape_text
from conformance.reporting.pages.templates import asset, environment, policy
from conformance.reporting.terminal import NAMES
from conformance.reporting.translations import OUTCOMES, SIDES, WORDS, statement

_STYLE = ("reporting/pages/base.css", "reporting/html/report.css")
_SCRIPT = ("reporting/pages/switches.js", "reporting/html/report.js")
_RECEIVER = "receiver"


def page(*reports: Report) -> str:
    """Whole reports as one file that loads nothing from the network: one report, or one of each side.

    Texts are in both languages; the page first shows that of the first report. It can be read and
    printed without its script; with it, it can be searched and filtered.
    """
    css, script = asset(*_STYLE), asset(*_SCRIPT)
    results = [result for report in reports for result in report.results]
    outcomes = Counter(result.outcome for result in results)
    counts = {outcome: outcomes[outcome] for outcome in ORDER}
    receivers = [each for each in reports if each.side == _RECEIVER and each.load is None]
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
            times=answer_times(exchange for report in receivers for exchange in report.trace),
            sides=list(dict.fromkeys(report.side for report in reports)),
            side_names=SIDES,
            figures_of=figures_of,
            charts_of=charts_of,
            order=ORDER,
            colon=Sentence(": "),
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
    """A compact table for a notebook, styled in place: findings in full, the rest as counts.

    Texts are in the report's language.
    """
    language = report.language
    summary = report.summary()
    return (
        environment("reporting/html")
        .get_template("fragment.html.j2")
        .render(
            report=report,
            rows=sorted(report.results, key=lambda result: ORDER.index(result.outcome)),
            longest_line=LONGEST_LINE,
            w={name: text.in_(language) for name, text in WORDS.items()},
            outcomes={outcome: text.in_(language) for outcome, text in OUTCOMES.items()},
            names={outcome: text.in_(language) for outcome, text in NAMES.items()},
            t=lambda text: escape_text(text.in_(language)),
            statement=statement(report).in_(language),
            counts={outcome: summary[outcome] for outcome in ORDER},
        )
    )


def _title(reports: tuple[Report, ...]) -> Sentence:
    titles = [
        statement(report) + Sentence(" {target} ", target=report.target) for report in reports
    ]
    return sum(titles, EMPTY) + verbatim("· Hookproof")
