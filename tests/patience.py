"""How long a test waits for what is sure to come."""

PATIENCE = 60.0
"""Seconds. A bound that ends a test that hangs, and not a promise: other processes may have the machine."""
