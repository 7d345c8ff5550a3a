"""XCLIENT (Postfix' XCLIENT_README): what a server in front says of its client. Only the log-in is of use here."""

import re

from outgate.smtp.commands import BadArgument
from outgate.smtp.reply import Reply

_WORD = re.compile(r"([A-Z]+)=((?:[^+=\s]|\+[0-9A-F]{2})+)", re.IGNORECASE)
_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_SYNTAX = Reply(501, "5.5.4", ("Syntax: XCLIENT LOGIN=user",))


def xclient_login(argument: str) -> str:
    """The user that the client has logged in as; empty if it has not, as nginx says it by no LOGIN at all. Raises
    BadArgument.
    """
    found = ""
    for word in argument.split() or [""]:
        match = _WORD.fullmatch(word)
        if not match:
            raise BadArgument(_SYNTAX)
        if match[1].upper() == "LOGIN":
            found = "" if match[2].upper() in _UNKNOWN else _text(match[2])
    return found


def _text(xtext: str) -> str:
    """RFC 3461 section 4, of UTF-8."""
    try:
        return re.sub(rb"\+([0-9A-Fa-f]{2})", lambda one: bytes([int(one[1], 16)]), xtext.encode()).decode()
    except UnicodeDecodeError:
        raise BadArgument(_SYNTAX) from None
