"""Campaigns: which examples and sequences are tried, and what their results mean."""
