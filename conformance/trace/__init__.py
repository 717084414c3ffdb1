"""Traces: the exchanges of a run, in memory or in a SQLite file.

A trace never holds the secret: it records what was sent, and the inputs of each signature. It knows
nothing of how a run is driven or judged; what re-judging needs, it stores as data.
"""

from conformance.trace.filter import TraceFilter
from conformance.trace.memory import Trace
from conformance.trace.store import check_place
from conformance.trace.stored import StoredTrace

__all__ = ["StoredTrace", "Trace", "TraceFilter", "check_place"]
