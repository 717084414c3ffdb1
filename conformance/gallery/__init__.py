"""Peers with known faults, and correct ones. The suite tests itself against them."""
