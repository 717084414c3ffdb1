"""A run as people and tools see it: in a terminal, on a page, in a notebook, as JUnit XML."""
