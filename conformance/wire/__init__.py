"""Requests on the wire, well-formed or deliberately broken, and what comes back, within bounds."""
