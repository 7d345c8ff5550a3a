"""Takes webhooks of Outgate, checks that they are from there, and prints them: python webhook-receiver.py PORT.

The secret is in WEBHOOK_SECRET (whsec_…); while it is changed, both are there with a space between. Nothing but the
standard library is needed; put a TLS proxy before it.
"""

import base64
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

KEYS = [base64.b64decode(one.removeprefix("whsec_")) for one in os.environ["WEBHOOK_SECRET"].split()]
TOLERANCE = 300  # seconds that its clock may be off, or somebody may have kept the request to send it again
LONGEST = 64 * 1024  # bytes of an event

seen: set[str] = set()  # use a table of your database


def is_genuine(event_id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    """Whether one of the signatures is made with one of our keys, of this id, this time and this body."""
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    signed = f"{event_id}.{timestamp}.".encode() + body
    good = [f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in KEYS]
    return any(hmac.compare_digest(one.encode(), other.encode()) for one in good for other in signatures.split())


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what it has taken; whatever else it answers is sent again later."""

    def do_POST(self) -> None:
        """Take one event."""
        length = min(int(self.headers.get("Content-Length", 0)), LONGEST)
        body, name = self.rfile.read(length), self.headers.get("webhook-id", "")
        timestamp, signatures = self.headers.get("webhook-timestamp", ""), self.headers.get("webhook-signature", "")
        if not is_genuine(name, timestamp, signatures, body):
            self.send_response(401)
        else:
            if name not in seen:  # it may come twice: then it has the same id
                seen.add(name)
                event = json.loads(body)
                print(event["timestamp"], event["type"], json.dumps(event["data"]), flush=True)
            self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Only events are printed."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
