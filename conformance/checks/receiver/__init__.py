"""Judging a receiver: pure functions from exchanges to findings."""
