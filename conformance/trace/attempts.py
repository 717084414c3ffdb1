"""Deliveries as a pandas frame: the attempts of one message to one endpoint make one row."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from conformance.model.exchange import Role
from conformance.protocol.delivery import State
from conformance.trace.tables import DELIVERY_ROLES

COLUMNS = (
    "id", "role", "rule", "case", "msg_id", "url", "status", "fault", "started", "sent", "ended",
    "clock",
)  # fmt: skip


def deliveries(frame: pd.DataFrame, accepted: Collection[int]) -> pd.DataFrame:
    """A row for each message at each endpoint, in the order of the first attempts.

    `frame` has COLUMNS and `time`. `starts` are the seconds from the first start to each start;
    `waits` those from the end of an attempt to the start of the next; `seconds` is the time from the
    first start to the last end. `outcome` is `delivered` when a whole answer had one of the
    `accepted` statuses, else `failed`. A run against a sender shows the sender's deliveries, a run
    against a receiver those of the suite.
    """
    sent = _delivery_rows(frame)
    bare = {url: url.partition("?")[0] for url in sent["url"].cat.categories}
    endpoint = sent["url"].astype(object).map(bare).astype("category")
    sent = sent.assign(endpoint=endpoint).sort_values(
        ["endpoint", "msg_id", "started", "id"], kind="stable", ignore_index=True
    )
    keys = sent[["endpoint", "msg_id"]].astype("string")
    first = ~keys.eq(keys.shift()).fillna(value=False).all(axis=1).to_numpy(dtype=bool)
    group = np.cumsum(first) - 1
    begins = np.flatnonzero(first)
    ends = np.append(begins, len(sent))[1:]
    started, ended = sent["started"].to_numpy(), sent["ended"].to_numpy()
    offsets = np.round(started - started[begins][group], 6)
    waits = np.round(started[1:] - ended[:-1], 6)
    statuses = sent["status"].astype(object).where(sent["status"].notna(), None).to_list()
    success = sent["status"].isin(list(accepted)) & sent["fault"].isna()
    spans = list(zip(begins.tolist(), ends.tolist(), strict=True))
    delivered = success.groupby(group).any().to_numpy(dtype=int)
    heads = sent.iloc[begins].reset_index(drop=True)
    table = heads[["endpoint", "msg_id", "rule", "case"]].assign(
        attempts=ends - begins,
        outcome=pd.Categorical.from_codes(delivered, _OUTCOMES),
        time=heads["time"],
        started=heads["started"],
        seconds=sent["ended"].groupby(group).max().to_numpy() - heads["started"],
        starts=[offsets[begin:end].tolist() for begin, end in spans],
        waits=[waits[begin : end - 1].tolist() for begin, end in spans],
        statuses=[statuses[begin:end] for begin, end in spans],
    )
    return table.sort_values("started", kind="stable", ignore_index=True)


_OUTCOMES = [State.FAILED.value, State.DELIVERED.value]


def _delivery_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The exchanges that carry a message: the sender's if there are any, else the suite's."""
    has_message = frame["msg_id"].notna()
    attempts = frame[has_message & (frame["role"] == Role.ATTEMPT.value)]
    if len(attempts):
        return attempts
    return frame[has_message & frame["role"].isin([role.value for role in DELIVERY_ROLES])]
