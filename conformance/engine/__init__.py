"""Runs scenarios against a live target: preflight first, then the cases, then the report."""
