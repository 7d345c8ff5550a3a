"""The document in which a domain tells programs its servers by PACC (draft-ietf-mailmaint-pacc-03), and its digest.

It is the same for everybody in all domains, byte for byte until a server changes: the DNS has its digest.
discovery/pacc.py reads those of others.
"""

import hashlib
import json
from base64 import b64encode
from typing import Final

from outgate.mail_program.program_servers import IMAPS, ProgramServer, ProgramServers
from outgate.model import Security

PATH: Final = "/.well-known/user-agent-configuration.json"

_SUBMISSIONS: Final = 465
_LONGEST_NAME: Final = 60  # characters


def pacc_document(servers: ProgramServers) -> bytes | None:
    """None where no server is at the port of its protocol with TLS from the start: the form knows no other."""
    outgoing = next((one for one in servers.outgoing if _is_usual(one, _SUBMISSIONS)), None)
    incoming = servers.incoming if servers.incoming and _is_usual(servers.incoming, IMAPS) else None
    if outgoing is None:
        return None
    protocols = {"submit": {"host": outgoing.host}} | ({"imap": {"host": incoming.host}} if incoming else {})
    manual = {"help": {"documentation": f"{servers.pages}/settings/mail-program"}} if servers.pages else {}
    document = {
        "authentication": {"password": True},
        "info": {"provider": {"name": outgoing.host[:_LONGEST_NAME]}} | manual,
        "protocols": protocols,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def digest_record(document: bytes) -> str:
    """The text of the TXT record at `_ua-auto-config` of each domain."""
    return f"v=UAAC1; a=sha256; d={b64encode(hashlib.sha256(document).digest()).decode()}"


def _is_usual(server: ProgramServer, port: int) -> bool:
    return server.security is Security.SSL and server.port == port
