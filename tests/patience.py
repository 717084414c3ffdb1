"""How long a test waits for what is sure to come."""

RUN = 600.0
"""Seconds that a whole run may take where a test is not about its time-out."""

PATIENCE = 60.0
"""Seconds. A bound that ends a test that hangs, and not a promise: other processes may have the machine."""
