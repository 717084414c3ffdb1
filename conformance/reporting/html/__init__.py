"""Reports as one HTML page. What a target sent is escaped here; the templates escape the rest."""
