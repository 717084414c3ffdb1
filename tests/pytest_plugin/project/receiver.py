"""The project's receiver: it takes its time, and refuses an unknown type, which breaks a SHOULD."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler

SECRET = "a-secret-of-the-project"
DELAY = 0.4
"""Seconds of each answer: the run takes longer than the project's `timeout`."""


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        signed = (self.headers["X-Webhook-Timestamp"] or "").encode() + b":" + body
        right = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        status = 200 if self.headers["X-Webhook-Signature"] == right else 401
        if status == 200 and json.loads(body).get("msgType") == 9999:
            status = 400
        threading.Event().wait(DELAY)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """Log nothing."""
