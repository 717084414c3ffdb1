"""How findings word statuses and faults, in both languages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.checks.receiver.profile import ReceiverProfile
from conformance.model.exchange import Exchange, Fault
from conformance.model.text import Text

_FAULTS = {
    Fault.DNS: Text("the host name does not resolve", "無法解析主機名稱"),
    Fault.REFUSED: Text("the connection was refused", "連線被拒絕"),
    Fault.TLS: Text("the TLS handshake failed", "TLS 交握失敗"),
    Fault.CLOSED: Text("closed the connection without a whole answer", "沒有完整響應就關閉了連線"),
    Fault.GARBAGE: Text("answered with something that is not HTTP", "響應的內容不是 HTTP"),
    Fault.ENDLESS: Text("sent an answer that does not end", "響應沒有盡頭"),
    Fault.GIVEN_UP: Text("the suite gave the request up", "測試套件放棄了請求"),
}

_WORDS = {
    "accepted": Text("200", "200"),
    "refused": Text("anything but 2xx", "2xx 以外的狀態碼"),
    "4xx": Text("4xx", "4xx"),
    "no-5xx": Text("an answer below 500", "低於 500 的響應"),
}


def answered(exchange: Exchange, profile: ReceiverProfile) -> Text:
    """What the target answered, as a predicate: "answered 500"."""
    if exchange.status is not None:
        return Text(f"answered {exchange.status}", f"響應 {exchange.status}")
    if exchange.fault is Fault.TIMEOUT or exchange.fault is None:
        seconds = f"{exchange.seconds:.1f}"
        return Text(f"gave no whole answer within {seconds} s", f"{seconds} 秒內沒有完整響應")
    detail = f" ({exchange.detail})" if exchange.detail else ""
    return _FAULTS[exchange.fault] + Text(detail, detail)


def places(exchanges: Sequence[Exchange], most: int = 4) -> str:
    """The rules and cases that the exchanges belong to: the first `most`, and how many more."""
    names = sorted(
        {f"{e.rule or 'plain message'}{f'[{e.case}]' if e.case else ''}" for e in exchanges}
    )
    rest = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


RATE_LIMIT = Text(
    "not judged: a rate limit, or a lock-out after bad signatures (429); lift it for the suite, or "
    "lower --concurrency",
    "未判定：觸發了限流，或因錯誤簽名被暫時封鎖（429）；請為測試解除限制，或調低 --concurrency",
)


def listed(words: Iterable[str | int]) -> Text:
    """Expected statuses, joined by "or"."""
    texts = [
        _WORDS[word] if isinstance(word, str) else Text(str(word), str(word)) for word in words
    ]
    return Text(" or ".join(text.en for text in texts), " 或 ".join(text.zh for text in texts))
