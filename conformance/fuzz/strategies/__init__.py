"""Hypothesis strategies: valid, malformed and forged deliveries."""
