"""Deliveries: the attempts of one message to one endpoint, taken together."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from conformance.delivery import State
from conformance.exchange import Role
from conformance.trace.tables import DELIVERING

COLUMNS = (
    "id", "role", "rule", "case", "msg_id", "url", "status", "fault", "started", "sent", "ended",
    "clock",
)  # fmt: skip


def deliveries(frame: pd.DataFrame, accepted: Collection[int]) -> pd.DataFrame:
    """A row for each message at each endpoint, in the order of their first attempts.

    `frame` has COLUMNS and `time`. `starts` are seconds from the first start to each; `waits` from
    the end of an attempt to the start of the next; `seconds` go from the first start to the last
    end; `outcome` is `delivered` when one of `accepted` came back in whole, else `failed`. A run
    against a sender shows its deliveries, one against a receiver those of the suite.
    """
    sent = _sent(frame)
    endpoints = {url: url.partition("?")[0] for url in sent["url"].cat.categories}
    names = sorted(set(endpoints.values()))
    place = np.array([names.index(endpoints[url]) for url in sent["url"].cat.categories], dtype=int)
    sent = sent.assign(endpoint=place[sent["url"].cat.codes] if len(sent) else 0)
    sent = sent.sort_values(["endpoint", "msg_id", "started", "id"], kind="stable")
    keys = sent[["endpoint", "msg_id"]]
    first = ~keys.eq(keys.shift()).all(axis=1).to_numpy() if len(sent) else np.zeros(0, dtype=bool)
    starts = np.flatnonzero(first)
    good = (sent["status"].isin(list(accepted)) & sent["fault"].isna()).to_numpy()
    ends = np.append(starts[1:], len(sent))
    started, ended = sent["started"].to_numpy(), sent["ended"].to_numpy()
    offsets = np.round(started - np.repeat(started[starts], ends - starts), 6)
    waits = np.round(started[1:] - ended[:-1], 6)
    statuses = sent["status"].astype(object).where(sent["status"].notna(), None).to_list()
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
    delivered = np.logical_or.reduceat(good, starts) if len(starts) else np.zeros(0, dtype=bool)
    heads = sent.iloc[starts]
    made: pd.DataFrame = pd.DataFrame(
        {
            "endpoint": pd.Categorical.from_codes(heads["endpoint"].to_numpy(dtype=int), names),
            "msg_id": heads["msg_id"].to_numpy(),
            "rule": heads["rule"].array,
            "case": heads["case"].array,
            "attempts": ends - starts,
            "outcome": pd.Categorical.from_codes(delivered.astype(int), _OUTCOMES),
            "time": heads["time"].array,
            "started": started[starts],
            "seconds": np.maximum.reduceat(ended, starts) - started[starts] if len(starts) else [],
            "starts": [offsets[begin:end].tolist() for begin, end in spans],
            "waits": [waits[begin : end - 1].tolist() for begin, end in spans],
            "statuses": [statuses[begin:end] for begin, end in spans],
        }
    )
    return made.sort_values("started", kind="stable", ignore_index=True)


_OUTCOMES = [State.FAILED.value, State.DELIVERED.value]


def _sent(frame: pd.DataFrame) -> pd.DataFrame:
    """The exchanges that carry a message: the sender's where there are any, else the suite's."""
    carrying = frame["msg_id"].notna()
    attempts = frame[carrying & (frame["role"] == Role.ATTEMPT.value)]
    if len(attempts):
        return attempts
    return frame[carrying & frame["role"].isin([role.value for role in DELIVERING])]
