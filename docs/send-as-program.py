"""A program for administrators: give a user a further From address with its own server, confirm it, and send as it.

    python send-as-program.py mail-tool.json https://mail.example.com alice@example.com alice@partner.example

The service account of the key file has the scopes below; the user's gateway is read from the environment.
"""

import base64
import os
import sys
from email.message import EmailMessage

from google.auth.transport.requests import AuthorizedSession
from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

SCOPE = "https://www.googleapis.com/auth/"
MAIL = [f"{SCOPE}gmail.settings.sharing", f"{SCOPE}gmail.settings.basic", f"{SCOPE}gmail.send"]
CONFIRM = ["outgate.send-as-manage"]  # of this server's own API
AUDIT = [f"{SCOPE}admin.reports.audit.readonly"]

key_file, url, user, address = sys.argv[1:5]


def acting_for(subject: str, scopes: list[str]) -> Credentials:
    return Credentials.from_service_account_file(key_file, scopes=scopes, subject=subject)


def service(name: str, version: str, acting: Credentials):
    return build(name, version, credentials=acting, client_options={"api_endpoint": url}, static_discovery=True)


gmail = service("gmail", "v1", acting_for(user, MAIL)).users()
send_as = gmail.settings().sendAs()
gateway = {"host": os.environ["GATEWAY_HOST"], "port": int(os.environ["GATEWAY_PORT"]), "securityMode": "starttls"}
gateway |= {"username": address, "password": os.environ["GATEWAY_PASSWORD"]}

try:  # the gateway is tried first: connected to, secured, logged in to
    made = send_as.create(
        userId="me", body={"sendAsEmail": address, "displayName": "Alice", "smtpMsa": gateway}
    ).execute()
except HttpError as error:
    sys.exit(f"not made: {error.reason}")
print(f"{made['sendAsEmail']} is {made['verificationStatus']}; a message with a code was sent to it", flush=True)

entered = {"address": address, "code": input("The code in it: ")}
confirmed = AuthorizedSession(acting_for(user, CONFIRM)).post(f"{url}/api/v1/send-as/verify", json=entered)
if not confirmed.ok:
    sys.exit(f"it is not confirmed: {confirmed.json()['detail']}")

message = EmailMessage()
message["From"], message["To"], message["Subject"] = address, os.environ["RECIPIENT"], "Hello"
message.set_content("Sent as another address, by its own server.")
sent = gmail.messages().send(userId="me", body={"raw": base64.urlsafe_b64encode(bytes(message)).decode()}).execute()
print(f"sent as {sent['id']}")

reports = service("admin", "reports_v1", acting_for(os.environ["ADMINISTRATOR"], AUDIT))
found = reports.activities().list(userKey=user, applicationName="admin").execute()
print("reported:", *sorted({event["name"] for one in found["items"] for event in one["events"]}))
