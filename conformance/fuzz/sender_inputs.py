"""What is drawn for a sender: contents of messages that it is given, and answers that it meets.

All of it is drawn beforehand, since at a live sender each takes as long as a delivery, or as its retries:
they go side by side. Nothing is shrunk; the simplest comes first, and is the one that is told of.
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

from conformance.fuzz.campaign.campaign import EndRound
from conformance.fuzz.strategies.valid import MEDIA, valid_contents
from conformance.fuzz.strategies.values import TELLING, texts
from conformance.scenario.sender import OK, ScriptedAnswer

BATCH = 8
"""Draws in one example of Hypothesis's, which costs as much as drawing several of them."""
SPARE = 8
"""Times as many draws as are wanted: some come twice."""
MOST_FAILURES = 3
"""Failures before the 200 in a script, at most."""

TOLD = (
    *(text.replace("\0", "") for text in TELLING),
    "❤️1️⃣☎︎",  # variation selectors
    "葛\U000e0100",  # of ideographs too
    "a\r\nb\rc",
    "\u00a0\u200b\u00ad\u3000",  # blanks that are none, or that no eye sees
)
"""Texts on which something has broken somewhere: of these each is given, before any is drawn."""

_STORED = texts(10_000).map(lambda text: text.replace("\0", ""))
# Not every database takes a NUL, and no message of WeChat's has one.
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
    """At most `count` different pairs of a msgType and a content that fits it, the shortest first;
    `draw` makes the draws."""
    told = [(1, text) for text in TOLD]
    return _drawn(told, _CONTENT.filter(_is_bearable), count, f"{draw} contents", _spelled)


def _is_bearable(drawn: tuple[int, Any]) -> bool:
    """Whether a sender that looks at what it is given must take it: a URL has no blank in it, say."""
    kind, content = drawn
    return "\\u0000" not in _spelled(drawn) and not (kind in MEDIA and _NO_URL.search(content))


def _spelled(drawn: tuple[int, Any]) -> str:
    return json.dumps(drawn)


@cache
def scripts(count: int, draw: int) -> tuple[tuple[ScriptedAnswer, ...], ...]:
    """At most `count` different scripts of answers, the shortest first: some failures, and then 200.
    One of them at most holds the sender up until its deadline. Each failure is met alone as well."""
    failures = st.lists(st.sampled_from(_FAILURES), max_size=MOST_FAILURES)
    some = failures.filter(lambda some: sum(each.fault == "hang" for each in some) < 2)
    alone = [(failure, OK) for failure in _FAILURES]
    return _drawn(alone, some.map(lambda some: (*some, OK)), count, f"{draw} scripts", repr)


def _drawn(
    first: Sequence[Any],
    strategy: st.SearchStrategy[Any],
    count: int,
    draw: str,
    spelled: Callable[[Any], str],
) -> tuple[Any, ...]:
    """`first`, and then draws from `strategy`."""
    found = {spelled(each): each for each in first}

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
        found.update((spelled(each), each) for each in batch)
        if len(found) >= count:
            raise EndRound

    with suppress(EndRound):
        collect()
    some = list(found)[:count]
    return tuple(found[each] for each in sorted(some, key=lambda text: (len(text), text)))
