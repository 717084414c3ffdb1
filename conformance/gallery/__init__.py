"""Peers with known faults, and correct ones: what the suite proves its own power on."""
