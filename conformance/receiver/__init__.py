"""The reference receiver: what it decides, what it keeps, and the HTTP around both."""
