"""The strategy for sequences: valid deliveries, forgeries and the like of a few messages, in any order.

Each is drawn as a whole, so that Hypothesis can shrink it: an action can be left out, every part of it has a
simplest value, and a message is sent for the first time by whichever action comes first.
"""

from __future__ import annotations

from hypothesis import strategies as st

from conformance.fuzz.campaign.model import Action, Actions

STEPS = 7
"""The most actions of a sequence, besides the repeats after many others."""
OTHERS = 450
"""Messages between a message and its repeat; the rules require the last 500 ids to be known."""

_NAMES = st.sampled_from(("m1", "m2", "m3"))
_COPIES = st.sampled_from((1, 1, 1, 2, 3, 5))
_HOW = st.sampled_from(("signed", "fresh", "exact"))
_TAMPERINGS = ("wrong-secret", "flip-body", "missing-signature", "truncated", "of-unsent")
_MUTATIONS = ("trailing-comma", "cut-short", "unquoted")
# OTHERS as a rule, and any smaller number to shrink it to.
_COUNTS = st.integers(1, 20 * OTHERS).map(lambda number: min(number, OTHERS))

_ACTIONS = (
    st.builds(Action, st.just("send"), _NAMES),
    st.builds(Action, st.just("send"), _NAMES, copies=_COPIES, how=_HOW),
    st.builds(Action, st.just("forge"), _NAMES, st.sampled_from(_TAMPERINGS)),
    st.builds(Action, st.just("mutate"), _NAMES, st.sampled_from(_MUTATIONS)),
    st.builds(Action, st.just("give-up"), _NAMES),
    st.builds(Action, st.just("others"), count=_COUNTS),
)


def sequences(*, restarts: bool) -> st.SearchStrategy[Actions]:
    """Sequences of at least one action. `restarts` says whether the target can be restarted."""
    kinds = (*_ACTIONS, *([st.just(Action("restart"))] if restarts else []))
    return st.tuples(*[st.one_of(st.none(), *kinds)] * STEPS).map(_complete)


def _complete(drawn: tuple[Action | None, ...]) -> Actions:
    """The drawn actions: many others come once at most, where there is a message to repeat after them."""
    actions: list[Action] = []
    for action in filter(None, drawn):
        sent = dict.fromkeys(earlier.name for earlier in actions if earlier.kind == "send")
        if action.kind != "others":
            actions.append(action)
        elif sent and all(earlier.kind != "others" for earlier in actions):
            actions += [action, *(Action("send", name) for name in sent)]
    return tuple(actions) or (Action("send", "m1"),)
