"""Charts of a trace, for notebooks: each a function from a trace to an Altair chart.

Altair, since a chart of it is data (Vega-Lite) that JupyterLab and VS Code draw by themselves, without
a script of ours and without the network, and that a test can look into. What is drawn is summed up
here first: a chart of a million exchanges carries a few hundred rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from conformance.model.exchange import Fault
from conformance.model.result import Result
from conformance.model.rules import Outcome
from conformance.protocol.delivery import GUIDE_DEADLINE, Backoff
from conformance.trace.tables import DELIVERY_ROLES

try:
    import altair as alt
    import numpy as np
    import pandas as pd
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"charts need {missing.name}: pip install 'hookproof[notebook]'"
    ) from missing

WIDTH = 640
BINS = 60
SHORTEST = 1e-5
"""Seconds below which durations are not told apart."""
MESSAGES = 40
"""Messages that are drawn one by one, unless more are asked for."""

TONES = {
    Outcome.FAIL: "#b3261e",
    Outcome.ERROR: "#7b3fb5",
    Outcome.WARN: "#b87500",
    Outcome.NOTE: "#1d5fa6",
    Outcome.SKIP: "#9aa0a6",
    Outcome.PASS: "#1a7440",
}
CAME = {"accepted": "#1a7440", "refused": "#b87500", "no answer": "#b3261e"}
_BAND, _INK = "#1d5fa6", "#5a616b"


class Traced(Protocol):
    """A trace, in memory or in a file."""

    @property
    def run(self) -> Mapping[str, Any] | None: ...
    @property
    def results(self) -> tuple[Result, ...]: ...
    def frame(self, *, bodies: bool = False) -> pd.DataFrame: ...
    def attempts(self) -> pd.DataFrame: ...


def attempts_over_time(
    trace: Traced, backoff: Backoff | None = None, messages: int = MESSAGES
) -> alt.LayerChart | alt.FacetChart:
    """The attempts of each message, a row each, and behind them where `backoff` expects them.

    Those with the most attempts are drawn, at most `messages`. Without `backoff` the band is that of
    waits that double each time, with 20 % of jitter, fitted to the waits that were seen. The scale of
    time is logarithmic but for its beginning: exponential waits stand at even distances.
    """
    found = trace.attempts()
    shown = found.sort_values("attempts", ascending=False, kind="stable").head(messages)
    shown = shown.sort_values("started", kind="stable")
    points = _attempts(shown, _accepted(trace))
    expected = backoff or Backoff(base=_base(shown))
    bands = _bands(shown, expected)
    seconds = alt.X(
        "seconds:Q",
        title="seconds since the first attempt",
        scale=alt.Scale(type="symlog", constant=expected.base),
        axis=_round(max([*points["seconds"], *bands["until"], expected.base]), expected.base / 2),
    )
    behind = alt.Chart(bands).mark_rect(color=_BAND, opacity=0.15)
    named = alt.Chart(bands).mark_text(color=_BAND, align="left", baseline="top", dx=3, y=2)
    drawn = alt.Chart(points)
    rows = alt.Y("message:N", title=None, sort=None, axis=alt.Axis(labelLimit=160))
    colour = alt.Color("came:N", title=None, scale=_scale(CAME))
    tips = ["message", "attempt", "seconds", "wait", "status"]
    return alt.layer(
        behind.encode(x=seconds, x2="until:Q"),
        named.encode(x=seconds, text="attempt:N"),
        drawn.mark_line(color=_INK, opacity=0.4).encode(x=seconds, y=rows, detail="message:N"),
        drawn.mark_point(filled=True, size=50).encode(
            x=seconds, y=rows, color=colour, tooltip=tips
        ),
        width=WIDTH,
        title=alt.Title(
            f"Attempts of {len(shown):,} messages, of {len(found):,}",
            subtitle=f"band: waits of {expected.base:.2g} s × {expected.factor:g} each time, "
            f"± {expected.jitter:.0%}",
        ),
    )


def _attempts(shown: pd.DataFrame, accepted: frozenset[int]) -> pd.DataFrame:
    """A row for each attempt of the messages that are drawn."""
    rows = []
    for each in shown.itertuples():
        waits = [None, *each.waits]
        for number, (begin, status) in enumerate(zip(each.starts, each.statuses, strict=True)):
            came = "accepted" if status in accepted else "refused" if status else "no answer"
            rows.append((each.msg_id, number + 1, begin, waits[number], status, came))
    columns = ["message", "attempt", "seconds", "wait", "status", "came"]
    return pd.DataFrame(rows, columns=columns)


def _base(shown: pd.DataFrame) -> float:
    """The first wait of waits that double, as near as can be to those that were seen."""
    firsts = [
        wait / Backoff().factor ** number
        for waits in shown["waits"]
        for number, wait in enumerate(waits)
    ]
    return max(float(np.median(firsts)), SHORTEST) if firsts else Backoff().base


def _round(most: float, least: float = 0.0) -> alt.Axis:
    """An axis with ticks at round numbers, as they lie evenly on a logarithmic scale."""
    steps = [float(f"{digit}e{power}") for power in range(-5, 6) for digit in (1, 2, 5)]
    values = [0.0, *(each for each in steps if least <= each <= most)]
    return alt.Axis(values=values, labelExpr="datum.value")


def _bands(shown: pd.DataFrame, backoff: Backoff) -> pd.DataFrame:
    """Where each further attempt is expected, by the sums of the shortest and of the longest waits."""
    lasted = [
        after - begin - wait
        for each in shown.itertuples()
        for begin, after, wait in zip(each.starts, each.starts[1:], each.waits, strict=False)
    ]
    attempt = float(pd.Series(lasted).median()) if lasted else 0.0
    rows, earliest, latest = [], 0.0, 0.0
    for number in range(1, int(shown["attempts"].max()) if len(shown) else 1):
        earliest += attempt + backoff.wait(number, 0.0)
        latest += attempt + backoff.wait(number, 1.0)
        rows.append((number + 1, earliest, latest))
    return pd.DataFrame(rows, columns=["attempt", "seconds", "until"])


def answer_times(trace: Traced, deadline: float | None = None) -> alt.LayerChart | alt.FacetChart:
    """How long answers took, by what came back, and the `deadline` in seconds (the run's, else the
    guide's)."""
    profile = trace.run["facts"] if trace.run is not None else {}
    limit = deadline if deadline is not None else profile.get("deadline", GUIDE_DEADLINE)
    sent = _delivered(trace)
    seconds = sent["seconds"].to_numpy().clip(SHORTEST)
    least, most = (seconds.min(), seconds.max()) if len(sent) else (SHORTEST, limit)
    edges = np.geomspace(least * 0.9, max(most, limit) * 1.1, BINS + 1)
    bars = _stacked(seconds, _came(sent, _accepted(trace)), edges)
    late = int((seconds > limit).sum())
    axis = alt.X(
        "seconds:Q",
        title="seconds",
        scale=alt.Scale(type="log", domain=[edges[0], edges[-1]]),
        axis=_round(edges[-1], edges[0]),
    )
    line = alt.Chart(pd.DataFrame({"seconds": [limit], "said": [f"deadline {limit:g} s"]}))
    return alt.layer(
        alt.Chart(bars)
        .mark_rect()
        .encode(
            x=axis,
            x2="until:Q",
            y=alt.Y("above:Q", title="answers"),
            y2="below:Q",
            color=alt.Color("came:N", title=None, scale=_scale(CAME)),
            tooltip=["came", "seconds", "until", "answers"],
        ),
        line.mark_rule(color=TONES[Outcome.FAIL], strokeDash=[4, 3]).encode(x=axis),
        line.mark_text(color=TONES[Outcome.FAIL], align="right", baseline="top", dx=-4, y=2).encode(
            x=axis, text="said:N"
        ),
        width=WIDTH,
        height=220,
        title=f"{len(sent):,} deliveries, {late:,} of them longer than the deadline",
    )


def _stacked(seconds: np.ndarray, came: np.ndarray, edges: np.ndarray) -> pd.DataFrame:
    """How many answers of each kind fell between two edges, one kind upon the other."""
    below, rows = np.zeros(len(edges) - 1, dtype=int), []
    for kind in CAME:
        counts, _ = np.histogram(seconds[came == kind], edges)
        rows += [
            (kind, edges[at], edges[at + 1], int(number), int(below[at]), int(below[at] + number))
            for at, number in enumerate(counts)
            if number
        ]
        below += counts
    columns = ["came", "seconds", "until", "answers", "below", "above"]
    return pd.DataFrame(rows, columns=columns)


def rules_by_outcome(trace: Traced) -> alt.Chart:
    """What came out for the cases of each group of rules."""
    rows = [
        (each.rule.id.rpartition(".")[0], each.outcome.value, each.name) for each in trace.results
    ]
    cases = pd.DataFrame(rows, columns=["group", "outcome", "name"])
    counted = (
        cases.groupby(["group", "outcome"], sort=False)["name"]
        .agg(["size", lambda names: ", ".join(names[:10])])
        .reset_index()
    )
    counted.columns = ["group", "outcome", "cases", "names"]
    order = {outcome.value: place for place, outcome in enumerate(TONES)}
    counted["place"] = counted["outcome"].map(order)
    made: alt.Chart = (
        alt.Chart(counted)
        .mark_bar()
        .encode(
            x=alt.X("cases:Q", title="cases"),
            y=alt.Y("group:N", title=None, sort=None),
            color=alt.Color("outcome:N", title=None, scale=_scale(TONES)),
            order=alt.Order("place:Q"),
            tooltip=["group", "outcome", "cases", "names"],
        )
        .properties(width=WIDTH, title=f"{len(cases):,} cases of {cases['group'].nunique()} groups")
    )
    return made


def load_over_time(load: Traced | Mapping[str, Any] | str | PathLike[str]) -> alt.VConcatChart:
    """A load run second by second: requests offered, answered as they should be and otherwise; below,
    how long answers took. `load` is what `hookproof load --json` wrote (its file, or its content), or
    a trace, in which everything that was offered was sent."""
    if isinstance(load, str | PathLike):
        written = json.loads(Path(load).read_text(encoding="utf-8"))
        return load_over_time(written)
    timeline = pd.DataFrame(load["timeline"]) if isinstance(load, Mapping) else _timeline(load)
    rates = {"offered": _INK, "right": TONES[Outcome.PASS], "wrong": TONES[Outcome.FAIL]}
    shares = {"p50": TONES[Outcome.NOTE], "p99": TONES[Outcome.ERROR]}
    second = alt.X("second:Q", title="seconds since the start")
    panels = []
    for kinds, title, scale, axis in (
        (rates, "requests per second", alt.Scale(), alt.Axis()),
        (shares, "seconds to answer", alt.Scale(type="log"), _round(1000.0, SHORTEST)),
    ):
        values = timeline.melt("second", list(kinds), var_name="what", value_name="value").dropna()
        panels.append(
            alt.Chart(values)
            .mark_line(interpolate="step-after")
            .encode(
                x=second,
                y=alt.Y("value:Q", title=title, scale=scale, axis=axis),
                color=alt.Color("what:N", title=None, scale=_scale(kinds)),
                tooltip=["second", "what", "value"],
            )
            .properties(width=WIDTH, height=180)
        )
    made: alt.VConcatChart = alt.vconcat(*panels).resolve_scale(color="independent")
    return made


def _timeline(trace: Traced) -> pd.DataFrame:
    """A trace in the load run's words, a row for each second."""
    sent = _delivered(trace)
    second = (sent["started"] - sent["started"].min()).astype(int)
    right = _came(sent, _accepted(trace)) == "accepted"
    by_second = sent.assign(second=second, right=right).groupby("second")
    return pd.DataFrame(
        {
            "offered": by_second.size(),
            "right": by_second["right"].sum(),
            "wrong": by_second.size() - by_second["right"].sum(),
            "p50": by_second["seconds"].quantile(0.5).clip(lower=SHORTEST),
            "p99": by_second["seconds"].quantile(0.99).clip(lower=SHORTEST),
        }
    ).reset_index()


def _delivered(trace: Traced) -> pd.DataFrame:
    """The exchanges that carried a message, but for those that the suite itself gave up."""
    frame = trace.frame()
    carrying = frame["role"].isin([role.value for role in DELIVERY_ROLES])
    return frame[carrying & (frame["fault"] != Fault.GIVEN_UP.value)]


def _came(sent: pd.DataFrame, accepted: frozenset[int]) -> np.ndarray:
    """What came back for each exchange, a key of CAME."""
    silent = (sent["fault"].notna() | sent["status"].isna()).to_numpy(dtype=bool)
    good = sent["status"].isin(list(accepted)).to_numpy(dtype=bool)
    return np.select([silent, good], ["no answer", "accepted"], "refused")


def _accepted(trace: Traced) -> frozenset[int]:
    profile = trace.run["facts"] if trace.run is not None else {}
    return frozenset(profile.get("accepted", [200]))


def _scale(tones: Mapping[Any, str]) -> alt.Scale:
    return alt.Scale(domain=[str(name) for name in tones], range=list(tones.values()))
