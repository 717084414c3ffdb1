"""How findings word statuses and faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.model.exchange import Exchange, Fault
from conformance.model.sentence import Sentence, joined, verbatim

MOST_PLACES = 4

_FAULTS = {
    Fault.DNS: Sentence("the host name does not resolve"),
    Fault.REFUSED: Sentence("the connection was refused"),
    Fault.TLS: Sentence("the TLS handshake failed"),
    Fault.CLOSED: Sentence("closed the connection without a whole answer"),
    Fault.GARBAGE: Sentence("answered with something that is not HTTP"),
    Fault.ENDLESS: Sentence("sent an answer that does not end"),
    Fault.GIVEN_UP: Sentence("the suite gave the request up"),
}

_WORDS = {
    "accepted": Sentence("200"),
    "refused": Sentence("anything but 2xx"),
    "4xx": Sentence("4xx"),
    "no-5xx": Sentence("an answer below 500"),
}


def answered(exchange: Exchange) -> Sentence:
    """What the target answered, as a predicate: "answered 500"."""
    if exchange.status is not None:
        return Sentence("answered {status}", status=exchange.status)
    if exchange.fault is Fault.TIMEOUT or exchange.fault is None:
        return Sentence("gave no whole answer within {seconds:.1f} s", seconds=exchange.seconds)
    detail = f" ({exchange.detail})" if exchange.detail else ""
    return _FAULTS[exchange.fault] + verbatim(detail)


def places(exchanges: Sequence[Exchange]) -> str:
    """The rules and cases that the exchanges belong to: the first MOST_PLACES, and how many more."""
    names = sorted(
        {f"{e.rule or 'plain message'}{f'[{e.case}]' if e.case else ''}" for e in exchanges}
    )
    rest = f" +{len(names) - MOST_PLACES}" if len(names) > MOST_PLACES else ""
    return ", ".join(names[:MOST_PLACES]) + rest


RATE_LIMIT = Sentence(
    "not judged: a rate limit, or a lock-out after bad signatures (429); lift it for the "
    "suite, or lower --concurrency"
)


def listed(words: Iterable[str | int]) -> Sentence:
    """Expected statuses, joined by "or"."""
    return joined(
        Sentence(" or "),
        (
            _WORDS[word] if isinstance(word, str) else Sentence("{expected}", expected=word)
            for word in words
        ),
    )
