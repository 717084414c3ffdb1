"""What a Jupyter notebook shows: values as HTML, and the progress of a run."""
