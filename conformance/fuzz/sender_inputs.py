"""Inputs for a sender under test: contents of the messages that it must send, and scripts of answers.

All of them are drawn in advance and used side by side, because each takes a live sender as long as a
delivery or its retries. Nothing is shrunk; the simplest comes first, and is the one that is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from conformance.fuzz.campaign.campaign import BATCH, EndRound
from conformance.fuzz.strategies.valid import MEDIA, valid_contents
from conformance.fuzz.strategies.values import TRICKY, texts
from conformance.fuzz.turn import TURN
from conformance.scenario.sender import OK, ScriptedAnswer

SPARE = 8
"""Draws for each input that is needed, because some are drawn twice."""
MOST_FAILURES = 3
"""The most failures before the 200 in a script."""

TEXTS = (
    *(text.replace("\0", "") for text in TRICKY),
    "❤️1️⃣☎︎",  # variation selectors
    "葛\U000e0100",  # and one of ideographs
    "a\r\nb\rc",
    "\u00a0\u200b\u00ad\u3000",  # unusual or invisible spaces
)
"""Texts that have broken software before. Each of them is used before any text is drawn."""

# Not every database accepts a NUL, and no WeChat message contains one.
_STORED = texts(10_000).map(lambda text: text.replace("\0", ""))
_URL = st.sampled_from(
    ("https://hookproof.test/a?b=1&c=%20#d", "https://測試.hookproof.test/頁?a=b")
)
_LINK = st.fixed_dictionaries(
    {"title": _STORED, "des": _STORED, "url": _URL, "thumbUrl": _URL},
)
_MEDIA = st.sampled_from(MEDIA).flatmap(lambda kind: st.tuples(st.just(kind), valid_contents(kind)))
_CONTENT: st.SearchStrategy[tuple[int, Any]] = st.one_of(
    st.tuples(st.just(1), _STORED), st.tuples(st.just(49), _LINK), _MEDIA
)
_NO_URL = re.compile(r'[\x00-\x20\x7f-\xa0<>"{}|\\^`\u2028\u2029\ufeff]')
_STATUSES = (500, 503, 404, 400, 201, 204, 302, 401, 403, 410, 413, 422, 429, 202, 301, 307, 308)
_FAILURES = (
    *(ScriptedAnswer(status=status) for status in _STATUSES),
    *(ScriptedAnswer(fault=fault) for fault in ("reset", "close", "hang")),
)


@cache  # several runs in one process have the same seed
def contents(count: int, draw: int) -> tuple[tuple[int, Any], ...]:
    """At most `count` different pairs of a msgType and fitting content, the shortest first. `draw` is the
    seed."""
    first = [(1, text) for text in TEXTS]
    strategy = _CONTENT.filter(_is_acceptable)
    return _distinct(first, strategy, count=count, draw=f"{draw} contents", key=_as_json)


def _is_acceptable(pair: tuple[int, Any]) -> bool:
    """Whether a sender that validates its input must accept it: a URL, for instance, has no space."""
    kind, content = pair
    return "\\u0000" not in _as_json(pair) and not (kind in MEDIA and _NO_URL.search(content))


def _as_json(pair: tuple[int, Any]) -> str:
    return json.dumps(pair)


@cache
def scripts(count: int, draw: int) -> tuple[tuple[ScriptedAnswer, ...], ...]:
    """At most `count` different scripts of answers, the shortest first: some failures, then 200.

    At most one failure makes the sender wait until its deadline. Each failure also has a script of its
    own. `draw` is the seed.
    """
    failures = st.lists(st.sampled_from(_FAILURES), max_size=MOST_FAILURES)
    bounded = failures.filter(lambda drawn: sum(one.fault == "hang" for one in drawn) < 2)
    single = [(failure, OK) for failure in _FAILURES]
    strategy = bounded.map(lambda drawn: (*drawn, OK))
    return _distinct(single, strategy, count=count, draw=f"{draw} scripts", key=repr)


def _distinct(
    first: Sequence[Any],
    strategy: st.SearchStrategy[Any],
    *,
    count: int,
    draw: str,
    key: Callable[[Any], str],
) -> tuple[Any, ...]:
    """`count` inputs that differ in their `key`: `first`, then draws from `strategy`; the shortest keys
    come first."""
    inputs = {key(one): one for one in first}

    @seed(draw)
    @settings(
        max_examples=-(-count * SPARE // BATCH),
        database=None,
        phases=(Phase.generate,),
        deadline=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(strategy, min_size=BATCH, max_size=BATCH))
    def collect(batch: list[Any]) -> None:
        inputs.update((key(one), one) for one in batch)
        if len(inputs) >= count:
            raise EndRound

    with TURN, suppress(EndRound):
        collect()
    keys = list(inputs)[:count]
    return tuple(inputs[text] for text in sorted(keys, key=lambda text: (len(text), text)))
