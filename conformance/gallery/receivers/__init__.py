"""Receivers with one realistic fault each, and correct ones on several stacks."""
