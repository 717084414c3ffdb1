"""Hypothesis strategies for valid, malformed and forged deliveries."""
