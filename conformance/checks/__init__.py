"""Checks: pure functions from exchanges to findings. No sockets, no clock, no files."""
