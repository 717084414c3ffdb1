"""The words of the HTML report and the JUnit file, in English and Chinese."""

from __future__ import annotations

from conformance.model.exchange import Fault, Transport
from conformance.model.report import Report
from conformance.model.rules import Outcome, Verdict
from conformance.model.text import Text

OUTCOMES = {
    Outcome.FAIL: Text("Failed", "失敗"),
    Outcome.ERROR: Text("Not judged", "無法判定"),
    Outcome.WARN: Text("Warnings", "警告"),
    Outcome.NOTE: Text("Notes", "提示"),
    Outcome.SKIP: Text("Skipped", "略過"),
    Outcome.PASS: Text("Passed", "通過"),
}

FAULTS = {
    Fault.DNS: Text("the host name does not resolve", "無法解析主機名稱"),
    Fault.REFUSED: Text("the connection was refused", "連線被拒絕"),
    Fault.TLS: Text("the TLS handshake failed", "TLS 交握失敗"),
    Fault.TIMEOUT: Text("no complete answer in time", "時限內沒有完整響應"),
    Fault.CLOSED: Text("closed without a complete answer", "沒有完整響應就關閉連線"),
    Fault.GARBAGE: Text("the answer is not HTTP", "響應的內容不是 HTTP"),
    Fault.ENDLESS: Text("the answer does not end", "響應沒有盡頭"),
    Fault.GIVEN_UP: Text("aborted by the suite, as planned", "測試套件依計畫放棄"),
}

TRANSPORTS = {
    Transport.CHUNKED: Text("sent in chunks", "分塊傳送"),
    Transport.EXPECT: Text("sent with Expect: 100-continue", "以 Expect: 100-continue 傳送"),
    Transport.SLOW: Text("body sent slowly", "請求體緩慢傳送"),
    Transport.KEEP_ALIVE: Text("on a kept-alive connection", "沿用同一連線"),
    Transport.CUT: Text("cut off in the body", "請求體中途斷線"),
    Transport.OVERLONG: Text("Content-Length too large", "Content-Length 過大"),
    Transport.GIVE_UP: Text("closed before the answer", "響應前即關閉連線"),
    Transport.RESET: Text("reset before the answer", "響應前即重置連線"),
}
"""Unusual ways in which a request was sent."""

GROUPS = {
    ("receiver", "accepts"): Text("Accepting valid messages", "接受有效訊息"),
    ("receiver", "signature"): Text("Signatures", "簽名"),
    ("receiver", "body"): Text("Bodies", "請求體"),
    ("receiver", "duplicate"): Text("Duplicates", "訊息去重"),
    ("receiver", "time"): Text("Time and load", "時間與負載"),
    ("receiver", "http"): Text("HTTP", "HTTP"),
    ("receiver", "fuzz"): Text("Fuzzing", "模糊測試"),
    ("sender", "wire"): Text("On the wire", "請求內容"),
    ("sender", "filter"): Text("Which messages", "訊息過濾"),
    ("sender", "retry"): Text("Retries", "重試"),
    ("sender", "time"): Text("Time", "時間"),
    ("sender", "duplicate"): Text("Duplicates", "訊息去重"),
    ("sender", "loss"): Text("Loss", "訊息遺失"),
    ("sender", "config"): Text("Configuration API", "配置 API"),
    ("sender", "https"): Text("HTTPS", "HTTPS"),
}
"""(side, group of rules) → its name; a user's own group is called by its id."""

SIDES = {"receiver": Text("Receiver", "接收端"), "sender": Text("Sender", "發送方")}

WORDS = {
    "report": Text("conformance report", "符合性報告"),
    "cause": Text("Root cause", "根本原因"),
    "see-cause": Text("see the root cause at the top of this page", "原因見本頁開頭"),
    "counts": Text("Results by outcome", "各類結果數目"),
    "dialect": Text("Dialect", "方言"),
    "spoken": Text("Dialect in use", "實際方言"),
    "unknown": Text("unknown", "未能得知"),
    "seed": Text("Seed", "隨機種子"),
    "started": Text("Started", "開始時間"),
    "took": Text("Took", "耗時"),
    "seconds": Text("s", "秒"),
    "source": Text("Guide", "指南"),
    "why": Text("Why it matters", "為何重要"),
    "fix": Text("How to fix it", "如何修正"),
    "reproduce": Text("Reproduce", "重現"),
    "copy": Text("Copy", "複製"),
    "copied": Text("Copied", "已複製"),
    "too-long": Text(
        "The command that reproduces this is too long for this page; see the JSON report.",
        "重現此請求的命令過長，未列於此頁，請見 JSON 報告。",
    ),
    "request": Text("Request", "請求"),
    "answer": Text("Answer", "響應"),
    "no-answer": Text("No answer", "沒有響應"),
    "above": Text("Shown above:", "見上文："),
    "differs-from": Text("Marked: differences from ", "標示處：不同於 "),
    "differs-from-signed": Text(
        "Marked: differences from a correctly signed request", "標示處：與正確簽名的請求不同"
    ),
    "same-as": Text("Byte for byte the same as ", "逐位元組相同於 "),
    "timeline": Text("Attempts over time", "各次嘗試的時間"),
    "attempts": Text("attempts in", "次嘗試，歷時"),
    "attempt": Text("Attempt", "嘗試"),
    "after": Text("Arrived after", "到達於"),
    "waited": Text("Waited", "等待"),
    "growth": Text("Growth", "倍數"),
    "took-each": Text("Took", "耗時"),
    "answered": Text("Answered", "響應"),
    "by-attempt": Text("Attempt by attempt", "逐次列出"),
    "more-attempts": Text("More attempts in the trace:", "其餘嘗試見追蹤檔："),
    "more": Text("More in the trace:", "其餘見追蹤檔："),
    "bare": Text(
        "The page has no more room: see the trace for the other requests and answers.",
        "頁面篇幅有限：其餘結果的請求與響應請見追蹤檔。",
    ),
    "cut": Text("{whole} bytes; the first {shown} are shown", "共 {whole} 位元組，顯示前 {shown}"),
    "cut-more": Text(
        "more than {whole} bytes; the first {shown} are shown",
        "超過 {whole} 位元組，顯示前 {shown}",
    ),
    "cut-headers": Text(
        "{whole} headers; the first {shown} are shown", "共 {whole} 個標頭，顯示前 {shown} 個"
    ),
    "cases": Text("cases", "個案例"),
    "groups": Text("Rules by outcome", "各組規則的結果"),
    "times": Text("Answer times", "響應時間"),
    "times-note": Text("Log scale; the line is the deadline.", "對數刻度；虛線為響應時限。"),
    "median": Text("median", "中位數"),
    "late": Text("99% within", "99% 低於"),
    "slowest": Text("slowest", "最慢"),
    "answers": Text("answers", "個響應"),
    "skip-to": Text("Skip to the results", "跳到結果"),
    "filters": Text("Search and filter", "搜尋與篩選"),
    "search": Text("Search", "搜尋"),
    "outcome": Text("Outcome", "結果"),
    "level": Text("Level", "級別"),
    "group": Text("Group", "分組"),
    "side": Text("Side", "對象"),
    "every": Text("All", "全部"),
    "not-passed": Text("All but passed", "未通過的"),
    "clear": Text("Show all", "顯示全部"),
    "results": Text("results", "項結果"),
    "of": Text("of", "／"),
    "nothing": Text("Nothing matches.", "沒有符合的結果。"),
    "foot": Text(
        "Section names are those of the webhook guide. Times run from the last byte of a request to "
        "the last byte of its answer. Bytes that are not text and invisible characters are written "
        "out:",
        "章節指 Webhook 指南的章節。時間由請求的最後一個位元組算到響應的最後一個位元組。"
        "非文字的位元組與看不見的字元以轉義形式顯示：",
    ),
}

_STATEMENTS = {
    ("receiver", Verdict.PASS): Text("This receiver conforms.", "此接收端符合規範。"),
    ("receiver", Verdict.FAIL): Text("This receiver does not conform.", "此接收端不符合規範。"),
    ("receiver", Verdict.ERROR): Text(
        "This receiver could not be judged.", "無法判定此接收端是否符合規範。"
    ),
    ("sender", Verdict.PASS): Text("This sender conforms.", "此發送方符合規範。"),
    ("sender", Verdict.FAIL): Text("This sender does not conform.", "此發送方不符合規範。"),
    ("sender", Verdict.ERROR): Text(
        "This sender could not be judged.", "無法判定此發送方是否符合規範。"
    ),
}


def statement(report: Report) -> Text:
    """The verdict as a sentence."""
    return _STATEMENTS[report.side, report.verdict]
