"""Charts of a trace for notebooks: functions from a trace to an Altair chart.

An Altair chart is data (Vega-Lite): JupyterLab and VS Code draw it without a script of ours and without
the network, and a test can inspect it. The data is aggregated here first, so that the chart of a
million exchanges has a few hundred rows.
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
"""Seconds; shorter durations are drawn as this long."""
MESSAGES = 40
"""Messages that are drawn one by one, by default."""

TONES = {
    Outcome.FAIL: "#b3261e",
    Outcome.ERROR: "#7b3fb5",
    Outcome.WARN: "#b87500",
    Outcome.NOTE: "#1d5fa6",
    Outcome.SKIP: "#9aa0a6",
    Outcome.PASS: "#1a7440",
}
ENDINGS = {"accepted": "#1a7440", "refused": "#b87500", "no answer": "#b3261e"}
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
    """The attempts of each message in a row of its own, and behind them bands where `backoff` expects them.

    The messages with the most attempts are drawn, at most `messages`. Without `backoff` the bands are
    those of waits that double each time, with 20 % of jitter, fitted to the recorded waits. The time
    scale is logarithmic except at its beginning, so that exponential waits have even distances.
    """
    deliveries = trace.attempts()
    drawn = deliveries.sort_values("attempts", ascending=False, kind="stable").head(messages)
    drawn = drawn.sort_values("started", kind="stable")
    points = _attempts(drawn, _accepted(trace))
    expected = backoff or Backoff(base=_base(drawn))
    bands = _bands(drawn, expected)
    seconds = alt.X(
        "seconds:Q",
        title="seconds since the first attempt",
        scale=alt.Scale(type="symlog", constant=expected.base),
        axis=_round(max([*points["seconds"], *bands["until"], expected.base]), expected.base / 2),
    )
    background = alt.Chart(bands).mark_rect(color=_BAND, opacity=0.15)
    labels = alt.Chart(bands).mark_text(color=_BAND, align="left", baseline="top", dx=3, y=2)
    attempts = alt.Chart(points)
    rows = alt.Y("message:N", title=None, sort=None, axis=alt.Axis(labelLimit=160))
    colour = alt.Color("answer:N", title=None, scale=_scale(ENDINGS))
    tips = ["message", "attempt", "seconds", "wait", "status"]
    return alt.layer(
        background.encode(x=seconds, x2="until:Q"),
        labels.encode(x=seconds, text="attempt:N"),
        attempts.mark_line(color=_INK, opacity=0.4).encode(x=seconds, y=rows, detail="message:N"),
        attempts.mark_point(filled=True, size=50).encode(
            x=seconds, y=rows, color=colour, tooltip=tips
        ),
        width=WIDTH,
        title=alt.Title(
            f"Attempts of {len(drawn):,} messages, of {len(deliveries):,}",
            subtitle=f"band: waits of {expected.base:.2g} s × {expected.factor:g} each time, "
            f"± {expected.jitter:.0%}",
        ),
    )


def _attempts(deliveries: pd.DataFrame, accepted: frozenset[int]) -> pd.DataFrame:
    """A row for each attempt of `deliveries`."""
    rows = []
    for delivery in deliveries.itertuples():
        waits = [None, *delivery.waits]
        for number, (begin, status) in enumerate(
            zip(delivery.starts, delivery.statuses, strict=True)
        ):
            answer = "accepted" if status in accepted else "refused" if status else "no answer"
            rows.append((delivery.msg_id, number + 1, begin, waits[number], status, answer))
    columns = ["message", "attempt", "seconds", "wait", "status", "answer"]
    return pd.DataFrame(rows, columns=columns)


def _base(deliveries: pd.DataFrame) -> float:
    """The first of doubling waits that fit the recorded ones best."""
    firsts = [
        wait / Backoff().factor ** number
        for waits in deliveries["waits"]
        for number, wait in enumerate(waits)
    ]
    return max(float(np.median(firsts)), SHORTEST) if firsts else Backoff().base


def _round(most: float, least: float = 0.0) -> alt.Axis:
    """An axis with ticks at round numbers that are evenly spaced on a logarithmic scale."""
    steps = [float(f"{digit}e{power}") for power in range(-5, 6) for digit in (1, 2, 5)]
    values = [0.0, *(step for step in steps if least <= step <= most)]
    return alt.Axis(values=values, labelExpr="datum.value")


def _bands(deliveries: pd.DataFrame, backoff: Backoff) -> pd.DataFrame:
    """Where each further attempt is expected: after the sum of the shortest waits, and before that of
    the longest."""
    durations = [
        following - begin - wait
        for delivery in deliveries.itertuples()
        for begin, following, wait in zip(
            delivery.starts, delivery.starts[1:], delivery.waits, strict=False
        )
    ]
    attempt = float(pd.Series(durations).median()) if durations else 0.0
    rows, earliest, latest = [], 0.0, 0.0
    for number in range(1, int(deliveries["attempts"].max()) if len(deliveries) else 1):
        earliest += attempt + backoff.wait(number, 0.0)
        latest += attempt + backoff.wait(number, 1.0)
        rows.append((number + 1, earliest, latest))
    return pd.DataFrame(rows, columns=["attempt", "seconds", "until"])


def answer_times(trace: Traced, deadline: float | None = None) -> alt.LayerChart | alt.FacetChart:
    """How long answers took, by how the exchange ended, and the `deadline` in seconds (by default the
    run's, else the guide's)."""
    profile = trace.run["profile"] if trace.run is not None else {}
    limit = deadline if deadline is not None else profile.get("deadline", GUIDE_DEADLINE)
    sent = _deliveries(trace)
    seconds = sent["seconds"].to_numpy().clip(SHORTEST)
    least, most = (seconds.min(), seconds.max()) if len(sent) else (SHORTEST, limit)
    edges = np.geomspace(least * 0.9, max(most, limit) * 1.1, BINS + 1)
    bars = _stacked(seconds, _endings(sent, _accepted(trace)), edges)
    late = int((seconds > limit).sum())
    axis = alt.X(
        "seconds:Q",
        title="seconds",
        scale=alt.Scale(type="log", domain=[edges[0], edges[-1]]),
        axis=_round(edges[-1], edges[0]),
    )
    line = alt.Chart(pd.DataFrame({"seconds": [limit], "label": [f"deadline {limit:g} s"]}))
    return alt.layer(
        alt.Chart(bars)
        .mark_rect()
        .encode(
            x=axis,
            x2="until:Q",
            y=alt.Y("above:Q", title="answers"),
            y2="below:Q",
            color=alt.Color("answer:N", title=None, scale=_scale(ENDINGS)),
            tooltip=["answer", "seconds", "until", "answers"],
        ),
        line.mark_rule(color=TONES[Outcome.FAIL], strokeDash=[4, 3]).encode(x=axis),
        line.mark_text(color=TONES[Outcome.FAIL], align="right", baseline="top", dx=-4, y=2).encode(
            x=axis, text="label:N"
        ),
        width=WIDTH,
        height=220,
        title=f"{len(sent):,} deliveries, {late:,} of them longer than the deadline",
    )


def _stacked(seconds: np.ndarray, endings: np.ndarray, edges: np.ndarray) -> pd.DataFrame:
    """The number of answers of each kind between two edges, one kind stacked on the other."""
    below, rows = np.zeros(len(edges) - 1, dtype=int), []
    for kind in ENDINGS:
        counts, _ = np.histogram(seconds[endings == kind], edges)
        rows += [
            (kind, edges[at], edges[at + 1], int(number), int(below[at]), int(below[at] + number))
            for at, number in enumerate(counts)
            if number
        ]
        below += counts
    columns = ["answer", "seconds", "until", "answers", "below", "above"]
    return pd.DataFrame(rows, columns=columns)


def rules_by_outcome(trace: Traced) -> alt.Chart:
    """The outcomes of the cases in each group of rules."""
    rows = [
        (result.rule.id.rpartition(".")[0], result.outcome.value, result.name)
        for result in trace.results
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
    chart: alt.Chart = (
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
    return chart


def load_over_time(load: Traced | Mapping[str, Any] | str | PathLike[str]) -> alt.VConcatChart:
    """A load run second by second: requests offered, answered correctly and failed; below, response
    times. `load` is the output of `hookproof load --json` (the file or its content), or a trace: of a
    load run, or of another one, in which every offered request was sent."""
    if isinstance(load, str | PathLike):
        return load_over_time(json.loads(Path(load).read_text(encoding="utf-8")))
    if isinstance(load, Mapping):
        timeline = pd.DataFrame(load["load"]["timeline"])
    elif load.run is not None and load.run.get("load"):
        timeline = pd.DataFrame(load.run["load"]["timeline"])
    else:
        timeline = _timeline(load)
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
    chart: alt.VConcatChart = alt.vconcat(*panels).resolve_scale(color="independent")
    return chart


def _timeline(trace: Traced) -> pd.DataFrame:
    """A trace in the columns of a load run's timeline, a row for each second."""
    sent = _deliveries(trace)
    second = (sent["started"] - sent["started"].min()).astype(int)
    right = _endings(sent, _accepted(trace)) == "accepted"
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


def _deliveries(trace: Traced) -> pd.DataFrame:
    """The exchanges that carried a message, except those that the suite itself aborted."""
    frame = trace.frame()
    delivering = frame["role"].isin([role.value for role in DELIVERY_ROLES])
    return frame[delivering & (frame["fault"] != Fault.GIVEN_UP.value)]


def _endings(sent: pd.DataFrame, accepted: frozenset[int]) -> np.ndarray:
    """How each exchange ended, a key of ENDINGS."""
    unanswered = (sent["fault"].notna() | sent["status"].isna()).to_numpy(dtype=bool)
    success = sent["status"].isin(list(accepted)).to_numpy(dtype=bool)
    return np.select([unanswered, success], ["no answer", "accepted"], "refused")


def _accepted(trace: Traced) -> frozenset[int]:
    profile = trace.run["profile"] if trace.run is not None else {}
    return frozenset(profile.get("accepted", [200]))


def _scale(tones: Mapping[Any, str]) -> alt.Scale:
    return alt.Scale(domain=[str(name) for name in tones], range=list(tones.values()))
