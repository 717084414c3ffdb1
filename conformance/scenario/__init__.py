"""From YAML to records, with file and line in every error."""
