"""Runs scenarios against a live receiver."""
