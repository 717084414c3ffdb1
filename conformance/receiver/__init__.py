"""The reference receiver: its decisions, its inbox, and the HTTP server around both."""
