"""What people see of a run: in a terminal, on a page, in a notebook."""
