"""Sends well-formed or deliberately broken requests, and reads the answers within bounds."""
