"""Reports made by hand, and the tree of a page that is made of one."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from conformance.model.exchange import Answer, Exchange, Fault, Headers, Request, Role, Transport
from conformance.model.report import Report, Result
from conformance.model.rules import Level, Outcome, Rule, Verdict
from conformance.model.text import Text
from conformance.trace import Trace

VOID = {"meta", "br", "wbr", "rect", "link", "img", "input", "hr"}
BODY = b'{"msgId":"1"}'
TAMPERED = "receiver.signature.tampered-body"


def rule(id: str = TAMPERED, source: str | None = "驗證簽名") -> Rule:  # noqa: A002 - as Rule's own
    return Rule(
        id,
        Level.MUST,
        source,
        Text("A changed body is refused", "改動過的內容會被拒絕"),
        Text("Anyone could forge it", "任何人都能偽造"),
        Text("Compare the signatures", "比較簽名"),
    )


def result(outcome: Outcome = Outcome.FAIL, **changes: Any) -> Result:
    made = Result(
        rule(), None, Level.MUST, outcome, Text("answered 200", "回應 200"), exchanges=(1,)
    )
    return replace(made, **changes)


def exchange(
    id: int = 1,  # noqa: A002 - as Exchange's own
    *,
    body: bytes = BODY,
    answer: Answer | None = Answer(200, ((b"Server", b"test"),), b"fine"),  # noqa: B008 - frozen
    fault: Fault | None = None,
    detail: str = "",
    headers: Headers = ((b"X-Webhook-Timestamp", b"1"),),
    transport: Transport = Transport.POOLED,
) -> Exchange:
    request = Request("POST", "http://127.0.0.1:5000/hook?a=1", headers, body, transport)
    return Exchange(
        id,
        Role.PROBE,
        TAMPERED,
        None,
        0,
        "1",
        request,
        None,
        answer,
        fault,
        detail,
        1.0,
        1.5,
        1.762,
    )


def report(
    *results: Result, exchanges: tuple[Exchange, ...] = (exchange(),), **changes: Any
) -> Report:
    trace = Trace()
    trace.exchanges = list(exchanges)
    made = Report(
        side="receiver",
        target="http://127.0.0.1:5000/hook",
        dialect="guide",
        spoken="guide",
        seed=7,
        verdict=Verdict.FAIL,
        started="2026-11-24T02:00:00Z",
        seconds=1.84,
        results=results or (result(),),
        trace=trace,
    )
    return replace(made, **changes)


def answering(body: bytes, headers: Headers = ()) -> Report:
    return report(exchanges=(exchange(answer=Answer(500, headers, body)),))


class Tree(HTMLParser):
    """Every tag with its attributes, what text stands in which, and whether all of them close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.spans: dict[str, list[str]] = {"en": [], "zh-Hant": []}
        self.open: list[str] = []
        self.languages: list[str | None] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.languages.append(dict(attrs).get("lang") if tag == "span" else None)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag
            self.languages.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))
            spoken = next((each for each in reversed(self.languages) if each), None)
            if spoken in self.spans:
                self.spans[spoken].append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def spoken(self, language: str) -> str:
        """All that is said in this language and not in the other."""
        return "\n".join(self.spans[language])

    def inside(self, tag: str) -> str:
        return "".join(text for name, text in self.texts if name == tag)
