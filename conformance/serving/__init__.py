"""Serving a reference part: addresses and certificates."""
