"""Lets one thread at a time run Hypothesis. Does not import it: that takes a quarter of a second."""

import threading

TURN = threading.Lock()
"""Held by the thread that runs Hypothesis, except while it waits for something else.

Hypothesis parses Python source, of lambdas for instance. Before Python 3.11.8, two threads that parse at once
may both get a SystemError (python/cpython#106905).
"""
