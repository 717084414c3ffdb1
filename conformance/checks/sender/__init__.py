"""Judging a sender: pure functions from what arrived, and what its API answered, to findings."""
