"""One run from before its first request to its verdict, as whoever starts and ends it sees it.

Before: is the target there, does it take what is valid, does the observer see it? After: has all that
was sent taken effect? It sends a few messages of its own and knows nothing of Locust.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import perf_counter, time

from conformance.load.connection_pool import Line, Reply
from conformance.load.ledger import MASTER, RUNS, Effects, Figures, Ledger, msg_id
from conformance.load.observer import Audit, Observer
from conformance.load.settings import Settings
from conformance.load.verdict import LoadRun
from conformance.load.worker import PATIENCE, head
from conformance.model.text import NO_TEXT, Text
from conformance.protocol.dialect import sign
from conformance.protocol.encodings import compact
from conformance.protocol.message import build
from conformance.protocol.tampering import Signer
from conformance.scenario import dialects

DRAWS = 3
"""How often a run's part of all ids is drawn, should the observer know the first of them."""


class Control:
    """One run. `cause` says why it cannot be judged, once something does."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cause = NO_TEXT
        self.observer = (
            Observer(settings.observer_url, settings.ca) if settings.observer_url else None
        )
        self.run_id = random.SystemRandom().randrange(RUNS)
        self._line = Line(settings.host, settings.deadline * PATIENCE, settings.ca)
        self._sent = 0
        self._started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._began = self._ended = perf_counter()

    def prepare(self) -> None:
        """Send one message in order and see its effect; what is wrong with that is the `cause`."""
        self.cause = self._unknown() or self._taken() or self._seen()
        self._began = perf_counter()

    def stop(self) -> None:
        """Note that nothing is sent any more."""
        self._ended = perf_counter()

    def conclude(
        self,
        ledgers: Sequence[Ledger],
        gone: int = 0,
        progress: Callable[[int, int], None] = lambda asked, messages: None,
    ) -> LoadRun:
        """Ask for the effects of all that was sent; the run as it is judged."""
        figures = Figures()
        for each in ledgers:
            figures.add(each.figures)
        return LoadRun(
            settings=self.settings,
            started=self._started,
            seconds=max(0.0, self._ended - self._began),
            workers=len(ledgers),
            figures=figures,
            ledgers=ledgers,
            effects=None if self.cause else self._effects(ledgers, progress),
            cause=self.cause,
            gone=gone,
        )

    def _effects(
        self, ledgers: Sequence[Ledger], progress: Callable[[int, int], None]
    ) -> Effects | None:
        if self.observer is None:
            return None
        # "Once" is believed after a message that came last has shown its effect.
        if self._deliver(self.settings.signer).status == 200:
            self.observer.appears(self._id())
        return Audit(self.observer, ledgers).run(progress)

    def _id(self) -> int:
        return msg_id(self.run_id, MASTER, self._sent)

    def _unknown(self) -> Text:
        """See that the observer does not know what was never sent."""
        if self.observer is None:
            return NO_TEXT
        for _ in range(DRAWS):
            found = self.observer.patient_count(msg_id(self.run_id, MASTER, 1))
            if found is None:
                return Text(
                    '--observer-url does not answer {"count": N}: open it in a browser',
                    '--observer-url 沒有回應 {"count": N}：請用瀏覽器打開確認',
                )
            if found == 0:
                return NO_TEXT
            self.run_id = random.SystemRandom().randrange(RUNS)
        return Text(
            "the observer counts messages that were never sent: {msgId} must select one message",
            "觀察端計入了從未送出的訊息：{msgId} 必須只選出一則訊息",
        )

    def _taken(self) -> Text:
        """See that a message in order is answered 200."""
        reply = self._deliver(self.settings.signer)
        if reply.status == 200:
            return NO_TEXT
        if reply.status is None:
            return Text(
                f"the receiver gave no answer ({reply.fault}): check the URL, and that it runs",
                f"接收端沒有響應（{reply.fault}）：請檢查網址，並確認服務已啟動",
            )
        spoken = self._spoken() if reply.status in (400, 401, 403) else None
        if spoken is not None:
            return Text(
                f"the receiver speaks the dialect {spoken}: give --dialect {spoken}",
                f"接收端使用的方言是 {spoken}：請加上 --dialect {spoken}",
            )
        return Text(
            f"a valid message was answered {reply.status}: check the path, the secret and the dialect",
            f"有效訊息得到 {reply.status} 響應：請檢查路徑、密鑰與方言",
        )

    def _seen(self) -> Text:
        """See that the observer shows that message."""
        if self.observer is None or self.observer.appears(self._id()):
            return NO_TEXT
        return Text(
            "the observer does not show a message that was answered 200: check --observer-url",
            "觀察端沒有顯示一則已得到 200 響應的訊息：請檢查 --observer-url",
        )

    def _spoken(self) -> str | None:
        """The known dialect in which a message is taken, if there is one."""
        for name in dialects.names():
            signer = Signer(dialects.load(name), self.settings.signer.secret)
            if name != self.settings.dialect.name and self._deliver(signer).status == 200:
                return name
        return None

    def _deliver(self, signer: Signer) -> Reply:
        self._sent += 1
        now = time()
        body = compact(build("text", str(self._id()), int(now)).fields())
        stamp = signer.dialect.timestamp(now)
        signature = sign(signer.dialect, signer.secret, stamp, body)
        names = signer.dialect.timestamp_header.encode(), signer.dialect.signature_header.encode()
        return self._line.exchange(
            b"%b%b: %b\r\n%b: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (head(self.settings), names[0], stamp, names[1], signature, len(body), body)
        )
