"""The text of a QR code that Thunderbird for Android sets up an account from ("Export for Mobile", format 1). It has no
password: the phone asks for it.
"""

import json
from typing import Final

from outgate.mail_program.program_servers import ProgramServer
from outgate.model import Security

_IMAP: Final = 0
_SMTP: Final = 0
_PASSWORD: Final = 1  # in clear within TLS
_SECURITY: Final = {Security.STARTTLS: 2, Security.SSL: 3}


def thunderbird_code(incoming: ProgramServer, outgoing: ProgramServer, address: str, name: str) -> str | None:
    """JSON; None for an address that the format can't say, which knows US-ASCII alone."""
    if not address.isascii():
        return None
    account = [
        1,
        [1, 1],  # one code of one
        [_IMAP, *_server(incoming, address)],
        [[[_SMTP, *_server(outgoing, address)], [address, name]]],
    ]
    return json.dumps(account, ensure_ascii=False, separators=(",", ":"))


def _server(server: ProgramServer, address: str) -> tuple[str, int, int, int, str]:
    return server.host, server.port, _SECURITY[server.security], _PASSWORD, address
