"""Arguments of MAIL and RCPT, read and written: paths and parameters (RFC 5321 section 4.1.2).

Which parameters there are is in smtp/extensions.py.
"""

import re
from collections.abc import Mapping

from outgate.frozen import frozen
from outgate.smtp.content import too_large
from outgate.smtp.extensions import MAIL_PARAMETERS, RCPT_PARAMETERS, ExtensionParameter, Value
from outgate.smtp.reply import Reply


class BadArgument(Exception):
    """The argument can't be accepted; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.lines[0])
        self.reply = reply


@frozen
class MailParams:
    """Parameters of MAIL."""

    size: int | None = None
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    require_tls: bool = False
    hold_for: int | None = None  # seconds
    hold_until: int | None = None  # seconds since the epoch


@frozen
class RcptParams:
    """Parameters of RCPT (RFC 3461): both as the client wrote them."""

    notify: str | None = None
    orcpt: str | None = None


_NO_MAIL_PARAMS = MailParams()
_NO_RCPT_PARAMS = RcptParams()

# A quoted local part may hold spaces and angle brackets, so it has a branch of its own. A source route
# ("@one,@two:") is obsolete and ignored, as RFC 5321 section 4.1.2 asks.
_PATH = re.compile(
    r'<(?:@[^:<>" ]+:)?((?:"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*"|[^<>"\s@\\\x00-\x1f\x7f]+)'
    r'(?:@[^<>"\s@\\\x00-\x1f\x7f]+)?)?>((?: +[^ ]+)*) *'
)
# Devices that can't be changed leave the angle brackets out: taken where nothing else could be meant.
_WORD = r'[^<>"\s@\\,;:()\x00-\x1f\x7f]+'
_BARE_PATH = re.compile(rf"({_WORD}@{_WORD})((?: +[^ ]+)*) *")
# RFC 6533 section 3 has ORCPT=utf-8;... beyond US-ASCII.
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^=\x00-\x20\x7f]+))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_PATH = 320  # bytes: 64 for the local part, "@", 255 for the domain

_SYNTAX = "5.5.4"


def mail_argument(argument: str, max_size: int) -> tuple[str, MailParams]:
    """What follows "MAIL": the reverse path and its parameters. Raises BadArgument."""
    path, words = _argument(argument, "FROM:")
    if not words:
        params = _NO_MAIL_PARAMS
    else:
        params = MailParams(**_read(words, MAIL_PARAMETERS, utf8=False))  # type: ignore[arg-type] # typed by the table
        if params.size is not None and params.size > max_size:
            raise BadArgument(too_large(max_size))
    _check_utf8(path, params.smtputf8)
    return path, params


def rcpt_argument(argument: str, *, smtputf8: bool) -> tuple[str, RcptParams]:
    """What follows "RCPT": the forward path and its parameters. Raises BadArgument."""
    path, words = _argument(argument, "TO:")
    if not path:
        raise BadArgument(Reply(501, "5.1.3", ("A recipient needs an address: RCPT TO:<user@domain>",)))
    _check_utf8(path, smtputf8)
    if not words:
        return path, _NO_RCPT_PARAMS
    return path, RcptParams(**_read(words, RCPT_PARAMETERS, utf8=smtputf8))  # type: ignore[arg-type] # typed by the table


def command_line(text: str) -> bytes:
    """A command as it goes over the wire. Raises ValueError for what would make two of it, or none."""
    if _CONTROL.search(text):
        raise ValueError("a command can't have control characters")
    return text.encode() + b"\r\n"


def mail_command(path: str, parameters: str) -> bytes:
    """A MAIL command; `parameters` begin with a space each. Raises ValueError."""
    return command_line(f"MAIL FROM:<{path}>{parameters}")


def rcpt_command(path: str, parameters: str) -> bytes:
    """An RCPT command; `parameters` begin with a space each. Raises ValueError."""
    return command_line(f"RCPT TO:<{path}>{parameters}")


def _argument(argument: str, keyword: str) -> tuple[str, list[str]]:
    """The path, and the words behind it."""
    if argument[: len(keyword)].upper() != keyword:
        raise BadArgument(Reply(501, _SYNTAX, (f"Syntax: {keyword}<address>",)))
    given = argument[len(keyword) :].lstrip(" ")
    match = _PATH.fullmatch(given) or _BARE_PATH.fullmatch(given)
    if not match:
        raise BadArgument(Reply(501, "5.1.3" if keyword == "TO:" else "5.1.7", (f"Syntax: {keyword}<address>",)))
    path = match[1] or ""
    if len(path.encode()) > _MAX_PATH:
        raise BadArgument(Reply(501, "5.1.3", ("The address is too long",)))
    return path, match[2].split()


def _read(words: list[str], known: Mapping[str, ExtensionParameter], *, utf8: bool) -> dict[str, Value]:
    """The fields of MailParams or RcptParams that these words give."""
    seen: set[str] = set()
    fields: dict[str, Value] = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if not match:
            raise BadArgument(Reply(501, _SYNTAX, ("A parameter can't be read",)))
        name = match[1].upper()
        if name in seen:
            raise BadArgument(Reply(501, _SYNTAX, (f"{name} is given twice",)))
        seen.add(name)
        if name not in known:
            raise _unknown(name)
        try:
            value = known[name].read(match[2], utf8)
        except ValueError:
            raise _not_allowed(name) from None
        if known[name].name:
            fields[known[name].name] = value
    return fields


def _unknown(name: str) -> BadArgument:
    if name in MAIL_PARAMETERS or name in RCPT_PARAMETERS:
        return _not_allowed(name)  # of the other command
    return BadArgument(Reply(555, _SYNTAX, (f"The parameter {name[:40]} is not known here",)))


def _not_allowed(name: str) -> BadArgument:
    return BadArgument(Reply(501, _SYNTAX, (f"{name}: this value is not allowed here",)))


def _check_utf8(path: str, smtputf8: bool) -> None:
    if not smtputf8 and not path.isascii():
        raise BadArgument(Reply(553, "5.6.7", ("An address beyond US-ASCII needs SMTPUTF8",)))
