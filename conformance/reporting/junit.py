"""The report as a JUnit XML file for CI systems."""

from __future__ import annotations

import io
from collections.abc import Iterator

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from conformance import __version__
from conformance.model.escaping import visible
from conformance.model.language import Language
from conformance.model.report import Report, Result
from conformance.model.rules import Outcome
from conformance.reporting.translations import WORDS, statement

_FORBIDDEN = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
"""Characters that XML 1.0 forbids (section 2.2, Char) and `visible` does not write out."""


def junit(report: Report) -> bytes:
    """One suite with a test case for each result: `fail` is a failure, `error` an error, `skip` skipped.

    `warn` and `note` pass, with the finding in system-out. Texts are in the report's language; times
    are in seconds. The file is well-formed whatever a target sent.
    """
    suite = TestSuite(_legal(f"hookproof {report.side}"))
    suite.timestamp = report.started
    for name, value in _properties(report):
        suite.add_property(name, _legal(value))
    suite.add_testcases([_case(result, report.language) for result in report.results])
    # The wall time: scenarios run concurrently, so the sum of their times would be too long.
    suite.time = round(report.seconds, 3)
    document = JUnitXml()
    document.add_testsuite(suite)
    file = io.BytesIO()
    document.write(file)
    return file.getvalue()


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "hookproof", __version__
    yield "target", report.target
    yield "dialect", report.dialect
    if report.spoken is not None:
        yield "spoken", report.spoken
    yield "seed", str(report.seed)
    yield "verdict", report.verdict.value
    yield "statement", statement(report).in_(report.language)
    if report.cause:
        yield "cause", report.cause.in_(report.language)


def _case(result: Result, language: Language) -> TestCase:
    group, _, name = result.rule.id.rpartition(".")
    if result.case is not None:
        name += f"[{result.case}]"
    case = TestCase(_legal(name), _legal(group), round(result.seconds, 3))
    message = _legal(result.message.in_(language))
    text = _legal(_text(result, language))
    if result.outcome is Outcome.FAIL:
        failure = Failure(message, result.code)
        failure.text = text
        case.result = [failure]
    elif result.outcome is Outcome.ERROR:
        error = Error(message, result.code)
        error.text = text
        case.result = [error]
    elif result.outcome is Outcome.SKIP:
        case.result = [Skipped(message, result.code)]
    elif result.outcome is not Outcome.PASS:
        case.system_out = f"{result.outcome.value}: {text}"
    return case


def _text(result: Result, language: Language) -> str:
    """The finding, why it matters, how to fix it, and how to reproduce it."""
    rule = result.rule
    source = f" ({WORDS['source'].in_(language)} {rule.source})" if rule.source else ""
    parts = [
        result.message.in_(language),
        f"{result.level} {rule.title.in_(language)}{source}",
        f"{WORDS['why'].in_(language)}\n{rule.why.in_(language)}",
        f"{WORDS['fix'].in_(language)}\n{rule.fix.in_(language)}",
    ]
    if result.reproduce is not None:
        parts.append(f"{WORDS['reproduce'].in_(language)}\n{result.reproduce}")
    figures = ", ".join(f"{name}={value}" for name, value in result.parameters.items())
    parts.append(f"{result.code}: {figures}" if figures else f"{result.code}")
    return "\n\n".join(parts)


def _legal(text: str) -> str:
    """`text` with the characters written out that XML forbids or a reader would obey."""
    return visible(text).translate(_FORBIDDEN)
