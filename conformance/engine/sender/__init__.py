"""Runs scenarios against a live sender: configures it, emits messages, and answers by script."""
