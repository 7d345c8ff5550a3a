"""Command arguments: paths and ESMTP parameters of MAIL and RCPT, read and written (RFC 5321 4.1.2, 3461, 6531)."""

import re
from dataclasses import dataclass

from outgate.smtp.content import too_large
from outgate.smtp.reply import Reply


class BadArgument(Exception):
    """The argument can't be accepted; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.lines[0])
        self.reply = reply


@dataclass(frozen=True, slots=True)
class MailParams:
    """Parameters of MAIL."""

    size: int | None = None
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None


@dataclass(frozen=True, slots=True)
class RcptParams:
    """Parameters of RCPT (RFC 3461): both as the client wrote them."""

    notify: str | None = None
    orcpt: str | None = None


# A quoted local part may hold spaces and angle brackets, so it has a branch of its own. A source route
# ("@one,@two:") is obsolete and ignored, as RFC 5321 section 4.1.2 asks.
_PATH = re.compile(
    r'<(?:@[^:<>" ]+:)?((?:"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*"|[^<>"\s@\\\x00-\x1f\x7f]+)'
    r'(?:@[^<>"\s@\\\x00-\x1f\x7f]+)?)?>((?: +[^ ]+)*) *'
)
# RFC 6533 section 3 has ORCPT=utf-8;... beyond US-ASCII.
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^=\x00-\x20\x7f]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_PATH = 320  # bytes: 64 for the local part, "@", 255 for the domain

_SYNTAX = "5.5.4"


def mail_argument(argument: str, max_size: int) -> tuple[str, MailParams]:
    """What follows "MAIL": the reverse path and its parameters. Raises BadArgument."""
    path, given = _argument(argument, "FROM:")
    params: dict[str, str | int | bool] = {}
    for name, value in given:
        match name, value:
            case "SIZE", str() if value.isascii() and value.isdigit() and len(value) <= 20:
                params["size"] = int(value)
            case "BODY", str() if value.upper() in ("7BIT", "8BITMIME"):
                params["body"] = value.upper()
            case "SMTPUTF8", None:
                params["smtputf8"] = True
            case "RET", str() if value.upper() in ("FULL", "HDRS"):
                params["ret"] = value.upper()
            case "ENVID", str() if _XTEXT.fullmatch(value) and len(value) <= 100:
                params["envid"] = value
            case "AUTH", str():
                pass  # RFC 4954 section 5: who the message was first submitted by; we trust our own log-in only
            case _:
                raise _bad_parameter(name, value)
    made = MailParams(**params)  # type: ignore[arg-type] # the table above gives each its type
    if made.size is not None and made.size > max_size:
        raise BadArgument(too_large(max_size))
    _check_utf8(path, made.smtputf8)
    return path, made


def rcpt_argument(argument: str, *, smtputf8: bool) -> tuple[str, RcptParams]:
    """What follows "RCPT": the forward path and its parameters. Raises BadArgument."""
    path, given = _argument(argument, "TO:")
    if not path:
        raise BadArgument(Reply(501, "5.1.3", ("A recipient needs an address: RCPT TO:<user@domain>",)))
    params: dict[str, str] = {}
    for name, value in given:
        match name, value:
            case "NOTIFY", str() if _NOTIFY.fullmatch(value):
                params["notify"] = value
            case "ORCPT", str() if ";" in value and len(value) <= 500 and (smtputf8 or _XTEXT.fullmatch(value)):
                params["orcpt"] = value
            case _:
                raise _bad_parameter(name, value)
    _check_utf8(path, smtputf8)
    return path, RcptParams(**params)


def command_line(text: str) -> bytes:
    """A command as it goes over the wire. Raises ValueError for what would make two of it, or none."""
    if _CONTROL.search(text):
        raise ValueError("a command can't have control characters")
    return text.encode() + b"\r\n"


def mail_command(path: str, parameters: list[str]) -> bytes:
    """A MAIL command. Raises ValueError."""
    return command_line(" ".join([f"MAIL FROM:<{path}>", *parameters]))


def rcpt_command(path: str, parameters: list[str]) -> bytes:
    """An RCPT command. Raises ValueError."""
    return command_line(" ".join([f"RCPT TO:<{path}>", *parameters]))


def _argument(argument: str, keyword: str) -> tuple[str, list[tuple[str, str | None]]]:
    if argument[: len(keyword)].upper() != keyword:
        raise BadArgument(Reply(501, _SYNTAX, (f"Syntax: {keyword}<address>",)))
    match = _PATH.fullmatch(argument[len(keyword) :].lstrip(" "))
    if not match:
        raise BadArgument(Reply(501, "5.1.3" if keyword == "TO:" else "5.1.7", (f"Syntax: {keyword}<address>",)))
    path = match[1] or ""
    if len(path.encode()) > _MAX_PATH:
        raise BadArgument(Reply(501, "5.1.3", ("The address is too long",)))
    return path, _parameters(match[2].split()) if match[2] else []


def _parameters(words: list[str]) -> list[tuple[str, str | None]]:
    given: dict[str, str | None] = {}
    for word in words:
        parameter = _PARAMETER.fullmatch(word)
        if not parameter:
            raise BadArgument(Reply(501, _SYNTAX, ("A parameter can't be read",)))
        name = parameter[1].upper()
        if name in given:
            raise BadArgument(Reply(501, _SYNTAX, (f"{name} is given twice",)))
        given[name] = parameter[2]
    return list(given.items())


_KNOWN = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", "NOTIFY", "ORCPT"})


def _bad_parameter(name: str, value: str | None) -> BadArgument:
    if name in _KNOWN:
        return BadArgument(Reply(501, _SYNTAX, (f"{name}: this value is not allowed here",)))
    return BadArgument(Reply(555, _SYNTAX, (f"The parameter {name[:40]} is not known here",)))


def _check_utf8(path: str, smtputf8: bool) -> None:
    if not smtputf8 and not path.isascii():
        raise BadArgument(Reply(553, "5.6.7", ("An address beyond US-ASCII needs SMTPUTF8",)))
