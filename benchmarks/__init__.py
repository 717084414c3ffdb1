"""Figures, each beside a bare baseline; see docs/performance.md."""
