"""Campaigns: examples and sequences that are tried, and what comes of them."""
