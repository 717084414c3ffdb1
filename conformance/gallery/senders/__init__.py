"""Senders with one realistic fault each, based on the reference sender, and correct ones."""
