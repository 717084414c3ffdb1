"""Running scenarios against a live receiver."""
