"""Senders with one realistic fault each, over the reference sender, and correct ones of other makes."""
