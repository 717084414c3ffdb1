"""Receivers with one realistic fault each, and correct ones in several stacks."""
