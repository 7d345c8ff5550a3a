"""A configuration profile (.mobileconfig) that sets up Mail on iPhones, iPads and Macs. It has no password: the device
asks for both. Knows no user but by what it is given.
"""

import plistlib
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from outgate.mail_program.program_servers import ProgramServer

CONTENT_TYPE: Final = "application/x-apple-aspen-config"


def apple_profile(incoming: ProgramServer, outgoing: ProgramServer, address: str, name: str, title: str) -> bytes:
    """For the account of `address`; `name` is as recipients see it, `title` what the device calls the profile.

    The same account has the same identifiers each time, so that a newer profile replaces an older one, and another
    account other ones: a device replaces a profile by PayloadIdentifier alone.
    """
    host = outgoing.host
    identity = _identity(host, address, "profile")
    identifier = f"{'.'.join(reversed(host.split('.')))}.mail.{identity.lower()}"
    account = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.account",
        "PayloadUUID": _identity(host, address, "account"),
        "PayloadDisplayName": title,
        "EmailAccountDescription": address,
        "EmailAccountName": name,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAddress": address,
        **_server("Incoming", incoming, address),
        **_server("Outgoing", outgoing, address),
        "OutgoingPasswordSameAsIncomingPassword": False,  # an application password sends and reads nothing
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": identifier,
        "PayloadUUID": identity,
        "PayloadDisplayName": title,
        "PayloadOrganization": address.rpartition("@")[2],
        "PayloadContent": [account],
    }
    return plistlib.dumps(profile)


def _server(which: str, server: ProgramServer, address: str) -> dict[str, object]:
    return {
        f"{which}MailServerHostName": server.host,
        f"{which}MailServerPortNumber": server.port,
        f"{which}MailServerUseSSL": True,  # by the port, Mail knows TLS from STARTTLS
        f"{which}MailServerAuthentication": "EmailAuthPassword",
        f"{which}MailServerUsername": address,
    }


def _identity(host: str, address: str, part: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"mailto:{address}?{host}#{part}")).upper()
