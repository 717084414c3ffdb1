"""Traces: the exchanges of a run, and one SQLite file of them when it is asked for.

A trace never holds the secret: it records what was sent, and of a signature only what it was made
of. It knows nothing of how a run is driven or judged; what judging again needs it keeps as data.
"""

from conformance.trace.filter import TraceFilter
from conformance.trace.masking import MASK
from conformance.trace.memory import Trace
from conformance.trace.store import check_place
from conformance.trace.stored import Stored

__all__ = ["MASK", "Stored", "Trace", "TraceFilter", "check_place"]
