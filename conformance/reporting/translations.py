"""The words of the HTML report and the JUnit file."""

from __future__ import annotations

from conformance.model.exchange import Fault, Transport
from conformance.model.report import Report
from conformance.model.rules import Outcome, Verdict
from conformance.model.sentence import Sentence

OUTCOMES = {
    Outcome.FAIL: Sentence("Failed"),
    Outcome.ERROR: Sentence("Not judged"),
    Outcome.WARN: Sentence("Warnings"),
    Outcome.NOTE: Sentence("Notes"),
    Outcome.SKIP: Sentence("Skipped"),
    Outcome.PASS: Sentence("Passed"),
}

FAULTS = {
    Fault.DNS: Sentence("the host name does not resolve"),
    Fault.REFUSED: Sentence("the connection was refused"),
    Fault.TLS: Sentence("the TLS handshake failed"),
    Fault.TIMEOUT: Sentence("no complete answer in time"),
    Fault.CLOSED: Sentence("closed without a complete answer"),
    Fault.GARBAGE: Sentence("the answer is not HTTP"),
    Fault.ENDLESS: Sentence("the answer does not end"),
    Fault.GIVEN_UP: Sentence("aborted by the suite, as planned"),
}

TRANSPORTS = {
    Transport.CHUNKED: Sentence("sent in chunks"),
    Transport.EXPECT: Sentence("sent with Expect: 100-continue"),
    Transport.SLOW: Sentence("body sent slowly"),
    Transport.KEEP_ALIVE: Sentence("on a kept-alive connection"),
    Transport.CUT: Sentence("cut off in the body"),
    Transport.OVERLONG: Sentence("Content-Length too large"),
    Transport.GIVE_UP: Sentence("closed before the answer"),
    Transport.RESET: Sentence("reset before the answer"),
}
"""Unusual ways in which a request was sent."""

SIDES = {"receiver": Sentence("Receiver"), "sender": Sentence("Sender")}

WORDS = {
    "report": Sentence("conformance report"),
    "cause": Sentence("Root cause"),
    "see-cause": Sentence("see the root cause at the top of this page"),
    "counts": Sentence("Results by outcome"),
    "dialect": Sentence("Dialect"),
    "spoken": Sentence("Dialect in use"),
    "unknown": Sentence("unknown"),
    "seed": Sentence("Seed"),
    "started": Sentence("Started"),
    "took": Sentence("Took"),
    "seconds": Sentence("s"),
    "source": Sentence("Guide"),
    "why": Sentence("Why it matters"),
    "fix": Sentence("How to fix it"),
    "reproduce": Sentence("Reproduce"),
    "copy": Sentence("Copy"),
    "copied": Sentence("Copied"),
    "too-long": Sentence(
        "The command that reproduces this is too long for this page; see the JSON report."
    ),
    "request": Sentence("Request"),
    "answer": Sentence("Answer"),
    "no-answer": Sentence("No answer"),
    "above": Sentence("Shown above:"),
    "differs-from": Sentence("Marked: differences from "),
    "differs-from-signed": Sentence("Marked: differences from a correctly signed request"),
    "same-as": Sentence("Byte for byte the same as "),
    "timeline": Sentence("Attempts over time"),
    "attempts": Sentence("attempts in"),
    "attempt": Sentence("Attempt"),
    "after": Sentence("Arrived after"),
    "waited": Sentence("Waited"),
    "growth": Sentence("Growth"),
    "took-each": Sentence("Took"),
    "answered": Sentence("Answered"),
    "by-attempt": Sentence("Attempt by attempt"),
    "more-attempts": Sentence("More attempts in the trace:"),
    "more": Sentence("More in the trace:"),
    "bare": Sentence(
        "The page has no more room: see the trace for the other requests and answers."
    ),
    "cases": Sentence("cases"),
    "groups": Sentence("Rules by outcome"),
    "times": Sentence("Answer times"),
    "times-note": Sentence("Log scale; the line is the deadline."),
    "median": Sentence("median"),
    "late": Sentence("99% within"),
    "slowest": Sentence("slowest"),
    "answers": Sentence("answers"),
    "skip-to": Sentence("Skip to the results"),
    "filters": Sentence("Search and filter"),
    "search": Sentence("Search"),
    "outcome": Sentence("Outcome"),
    "level": Sentence("Level"),
    "group": Sentence("Group"),
    "side": Sentence("Side"),
    "every": Sentence("All"),
    "not-passed": Sentence("All but passed"),
    "clear": Sentence("Show all"),
    "results": Sentence("results"),
    "of": Sentence("of"),
    "nothing": Sentence("Nothing matches."),
    "foot": Sentence(
        "Section names are those of the webhook guide. Times run from the last byte of a "
        "request to the last byte of its answer. Bytes that are not text and invisible "
        "characters are written out:"
    ),
}

_STATEMENTS = {
    ("receiver", Verdict.PASS): Sentence("This receiver conforms."),
    ("receiver", Verdict.FAIL): Sentence("This receiver does not conform."),
    ("receiver", Verdict.ERROR): Sentence("This receiver could not be judged."),
    ("sender", Verdict.PASS): Sentence("This sender conforms."),
    ("sender", Verdict.FAIL): Sentence("This sender does not conform."),
    ("sender", Verdict.ERROR): Sentence("This sender could not be judged."),
}


def cut_body(total: int, count: int) -> Sentence:
    """What a page says of a body of which it holds the first `count` bytes."""
    return Sentence("{total:,} bytes; the first {count:,} are shown", total=total, count=count)


def cut_answer(total: int, count: int) -> Sentence:
    """As `cut_body`, where the suite itself read no more than `total` bytes."""
    return Sentence(
        "more than {total:,} bytes; the first {count:,} are shown", total=total, count=count
    )


def cut_headers(total: int, count: int) -> Sentence:
    """As `cut_body`, for headers."""
    return Sentence("{total:,} headers; the first {count:,} are shown", total=total, count=count)


def statement(report: Report) -> Sentence:
    """The verdict as a sentence."""
    return _STATEMENTS[report.side, report.verdict]
