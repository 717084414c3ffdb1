"""One HTTP request and its answer: bytes, times, and why the request was sent.

These records are all that a check may look at. They know nothing about sockets.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum

Headers = tuple[tuple[bytes, bytes], ...]

UNPACKED = 1024 * 1024
"""The most bytes that a compressed body is unpacked to."""


class Role(StrEnum):
    """Why an exchange was made."""

    PLAIN = "plain"  # before the suite: does the target take a plain valid message?
    # before the suite: which scheme does it speak, which answers distinguish repeats?
    PREFLIGHT = "preflight"
    CONTROL = "control"  # around a refusal: are plain valid messages still accepted?
    PROBE = "probe"  # what a scenario is about
    LOAD = "load"  # one of the requests of a load run, most of which are counted only
    OBSERVE = "observe"  # asks the observer how often a message took effect
    ATTEMPT = "attempt"  # a delivery by the sender under test, as the mock receiver received it
    ELSEWHERE = "elsewhere"  # the same, at a scenario's other endpoint
    HANDSHAKE = "handshake"  # a TLS handshake that the sender under test began with the mock
    MALFORMED = "malformed"  # bytes that the sender under test sent, and that are no HTTP request
    API = "api"  # a call of the sender's configuration API
    EMIT = "emit"  # a message event passed to the sender


class Fault(StrEnum):
    """Why an exchange has no (whole) answer."""

    DNS = "dns"  # the host name does not resolve
    REFUSED = "refused"  # nothing listens, or no route
    TLS = "tls"  # the handshake or the certificate failed
    TIMEOUT = "timeout"  # no whole answer in time
    CLOSED = "closed"  # the connection ended before a whole answer
    GARBAGE = "garbage"  # bytes that are not HTTP, or headers without an end
    ENDLESS = "endless"  # an answer that does not end
    GIVEN_UP = "given-up"  # the suite itself left, as the scenario asks


HELD_UP = "not measured: Hookproof itself was held up"
"""The detail of an exchange that was given up because this process itself may have delayed it."""


class Leg(StrEnum):
    """Which of its two connections an exchange used, where Hookproof stands between two peers."""

    SENDER = "sender"  # between the sender and Hookproof
    RECEIVER = "receiver"  # between Hookproof and the receiver


class Transport(StrEnum):
    """How a request is put on the wire."""

    POOLED = "pooled"  # well-formed, on a pooled connection
    RAW = "raw"  # exact bytes, on a connection of its own
    CHUNKED = "chunked"  # Transfer-Encoding: chunked, in several chunks
    EXPECT = "expect"  # Expect: 100-continue, the body once the target asks for it
    SLOW = "slow"  # the body takes 1.5 s to send
    KEEP_ALIVE = "keep-alive"  # the same connection as the message before
    CUT = "cut"  # half of the body, then the connection ends
    OVERLONG = (
        "overlong"  # the whole body under too large a Content-Length, then the connection ends
    )
    GIVE_UP = "give-up"  # the whole request, then the connection is closed at once
    RESET = "reset"  # the whole request, then the connection is reset a moment later


class Masked(StrEnum):
    """What was removed from an exchange after it was recorded."""

    SECRET = "secret"  # noqa: S105 - the secret itself
    CREDENTIAL = "credential"  # another encoding of it, or the value of a header that the user set
    CONTENT = "content"  # contents and names, by --redact


@dataclass(frozen=True, slots=True)
class Signing:
    """How a request was signed, so that a shell can sign it again.

    `timestamp` and `body` are what was signed. `secret` is None for the target's own secret, or else
    the wrong one that was used. The other fields are shell words, where $SIG is the right signature and
    $TS the time: the timestamp that was signed, the headers (None and () for absent ones), and what
    precedes the body when it is sent.
    """

    timestamp: bytes
    body: bytes
    secret: str | None = None
    signed_stamp: str = "$TS"
    signatures: tuple[str, ...] = ("$SIG",)
    stamp: str | None = "$TS"
    prefix: str = ""
    authentic: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """Exact bytes to send. `headers` are those of the suite; the wire adds Host and the framing."""

    method: str
    url: str
    headers: Headers
    body: bytes
    transport: Transport = Transport.POOLED


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response. `body` is at most its first 64 KiB; `cut` says whether there was more."""

    status: int
    headers: Headers
    body: bytes
    cut: bool = False

    @property
    def unpacked(self) -> bytes:
        """The body without its Content-Encoding, if that is gzip or deflate and valid; else as it is."""
        coding = next((v for n, v in self.headers if n.lower() == b"content-encoding"), b"")
        if coding.strip().lower() not in (b"gzip", b"deflate"):
            return self.body
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(self.body, UNPACKED)
        except zlib.error:
            return self.body


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and its answer or its fault. Times are seconds on one monotonic clock per run:
    `started`, `sent` (last byte of the request), `ended` (last byte of the answer). `clock` is the
    wall time (Unix seconds) at which a delivery began to arrive.

    `raw` are all bytes of a request that was received and is not well-formed HTTP; None for any other.
    `request` is what could be read of them; where that is nothing, it has no method. `injected` names
    the fault that the suite itself put in. An exchange that was passed on has a `leg`, and `link` is the
    id of the exchange on the other leg.

    `masked` says what has been removed since. `superseded` is True when the case was run again, so that
    no result rests on this exchange.
    """

    id: int
    role: Role
    rule: str | None
    case: str | None
    step: int
    msg_id: str | None
    request: Request
    signing: Signing | None
    answer: Answer | None
    fault: Fault | None
    detail: str
    started: float
    sent: float
    ended: float
    peer: str | None = None
    clock: float | None = None
    masked: frozenset[Masked] = frozenset()
    superseded: bool = False
    raw: bytes | None = None
    injected: str | None = None
    leg: Leg | None = None
    link: int | None = None

    @property
    def status(self) -> int | None:
        """The status, or None without a complete answer."""
        return self.answer.status if self.answer is not None and self.fault is None else None

    @property
    def name(self) -> str | None:
        """The rule that it belongs to, with the case in brackets; None outside the rules."""
        return self.rule and self.rule + (f"[{self.case}]" if self.case is not None else "")

    @property
    def as_received(self) -> tuple[Headers, bytes]:
        """What to show of the request: its headers and its body, or all its bytes where it is malformed."""
        if self.raw is not None:
            return (), self.raw
        return self.request.headers, self.request.body

    @property
    def seconds(self) -> float:
        """From the last byte of the request to the last byte of the answer."""
        return self.ended - self.sent

    def header(self, name: bytes) -> bytes | None:
        """The request's header `name` (any case), or None."""
        key = name.lower()
        return next((v for n, v in self.request.headers if n.lower() == key), None)
