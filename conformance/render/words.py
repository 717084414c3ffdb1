"""The words of the HTML report and the JUnit file, in both languages."""

from __future__ import annotations

from conformance.exchange import Fault, Transport
from conformance.report import Report
from conformance.rules import Outcome, Verdict
from conformance.text import Text

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
    Fault.TIMEOUT: Text("no whole answer in time", "時限內沒有完整響應"),
    Fault.CLOSED: Text("closed without a whole answer", "沒有完整響應就關閉連線"),
    Fault.GARBAGE: Text("the answer is not HTTP", "響應的內容不是 HTTP"),
    Fault.ENDLESS: Text("the answer does not end", "響應沒有盡頭"),
    Fault.GIVEN_UP: Text("given up by the suite, as planned", "測試套件依計畫放棄"),
}

TRANSPORTS = {
    Transport.CHUNKED: Text("sent in chunks", "分塊傳送"),
    Transport.EXPECT: Text("sent with Expect: 100-continue", "以 Expect: 100-continue 傳送"),
    Transport.SLOW: Text("body sent slowly", "請求體緩慢傳送"),
    Transport.KEEP_ALIVE: Text("on a connection kept alive", "沿用同一連線"),
    Transport.CUT: Text("cut off in the body", "請求體中途斷線"),
    Transport.OVERLONG: Text("Content-Length too large", "Content-Length 過大"),
    Transport.GIVE_UP: Text("closed before the answer", "響應前即關閉連線"),
    Transport.RESET: Text("reset before the answer", "響應前即重置連線"),
}
"""What is out of the ordinary in how a request was sent."""

WORDS = {
    "report": Text("conformance report", "符合性報告"),
    "cause": Text("The cause", "根本原因"),
    "see-cause": Text("for the cause at the top of this page", "原因見本頁開頭"),
    "counts": Text("Results by outcome", "各類結果數目"),
    "dialect": Text("Dialect", "方言"),
    "spoken": Text("Spoken", "實際方言"),
    "unknown": Text("not found out", "未能得知"),
    "seed": Text("Seed", "隨機種子"),
    "started": Text("Started", "開始時間"),
    "took": Text("Took", "耗時"),
    "seconds": Text("s", "秒"),
    "source": Text("Guide", "指南"),
    "why": Text("Why it matters", "為何重要"),
    "fix": Text("How to mend it", "如何修正"),
    "again": Text("See it again", "重現"),
    "copy": Text("Copy", "複製"),
    "copied": Text("Copied", "已複製"),
    "too-long": Text(
        "The line that sends this again is too long for this page; it stands in the JSON report.",
        "重現此請求的命令過長，未列於此頁，請見 JSON 報告。",
    ),
    "request": Text("Request", "請求"),
    "answer": Text("Answer", "響應"),
    "no-answer": Text("No answer", "沒有響應"),
    "shown": Text("Shown further up:", "見上文："),
    "more": Text("More in the trace:", "其餘見追蹤檔："),
    "cut": Text("{whole} bytes; the first {shown} are shown", "共 {whole} 位元組，顯示前 {shown}"),
    "cut-more": Text(
        "more than {whole} bytes; the first {shown} are shown",
        "超過 {whole} 位元組，顯示前 {shown}",
    ),
    "cut-headers": Text(
        "{whole} headers; the first {shown} are shown", "共 {whole} 個標頭，顯示前 {shown} 個"
    ),
    "passed": Text("Every rule that held", "所有成立的規則"),
    "foot": Text(
        "Sections are those of the webhook guide. Times run from the last byte of a request to the "
        "last byte of its answer. Bytes that are no text, and characters that would not be seen, "
        "are spelled out:",
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
