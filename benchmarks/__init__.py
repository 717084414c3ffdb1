"""Performance figures, each compared with a bare baseline; see docs/performance.md."""
