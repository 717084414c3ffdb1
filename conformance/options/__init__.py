"""The options of a run, validated once for the command line, the API and the pytest plugin."""
