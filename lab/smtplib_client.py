"""A program that submits a message with Python's smtplib. What to do comes on standard input, from `clients.smtplib`.

It imports nothing of the lab: it runs in the client's namespace.
"""

import email
import email.policy
import json
import smtplib
import ssl
import sys
from pathlib import Path


def main() -> None:
    """Submit; an exception ends the program with its text."""
    it = json.load(sys.stdin)
    context = ssl.create_default_context(cafile=it["ca_file"])
    with _connect(it, context) as client:
        client.login(it["username"], it["password"])
        message = email.message_from_bytes(Path(it["message"]).read_bytes(), policy=email.policy.default)
        client.send_message(message, it["sender"], it["recipients"])


def _connect(it: dict[str, str], context: ssl.SSLContext) -> smtplib.SMTP:
    if it["implicit_tls"]:
        return smtplib.SMTP_SSL(it["server"], int(it["port"]), it["ehlo"], timeout=30, context=context)
    client = smtplib.SMTP(it["server"], int(it["port"]), it["ehlo"], timeout=30)
    client.starttls(context=context)
    return client


main()
