"""Running scenarios against a live sender: it is configured, given messages, and answered by script."""
