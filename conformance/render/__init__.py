"""Reports for people and for tools: terminal, HTML, JUnit, JSON, and curl lines."""
