"""The extensions of SMTP, one row each: keyword, when it is offered, its parameters, and what a client makes of it.

A new extension is a row in EXTENSIONS, and a field of MailParams or RcptParams for each parameter. Knows no connection.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from outgate.frozen import frozen
from outgate.smtp.transaction import Addressee, Transaction


class Tls(StrEnum):
    """Whether TLS is in force, or could be."""

    NONE = "none"
    AVAILABLE = "available"
    ACTIVE = "active"


@frozen
class OfferState:
    """What it depends on what a server offers. `max_size` in bytes; `max_hold` has the words behind FUTURERELEASE: the
    longest time in seconds, and when it ends. Empty, it is not offered. `xclient`: the client is a trusted server.
    """

    tls: Tls
    max_size: int
    mechanisms: tuple[str, ...]
    max_hold: str = ""
    xclient: bool = False


Value = str | int | bool | None
# Takes what follows "=" (None if nothing does) and whether the transaction is one of SMTPUTF8; raises ValueError.
ParameterReader = Callable[[str | None, bool], Value]


@frozen
class ExtensionParameter:
    """A parameter of MAIL or RCPT. `name` is the field of MailParams or RcptParams; without one it is passed over."""

    read: ParameterReader
    name: str = ""


def _always(state: OfferState) -> str | None:
    return ""


@frozen
class Extension:
    """One row. `offer` gives what follows the keyword in the reply to EHLO, None where it is not offered.

    `mail` and `rcpt` have the parameters that a server takes, by their names in capitals; `mail_words` and `rcpt_words`
    give the parameters that a client adds where the peer offers the extension.
    """

    keyword: str
    offer: Callable[[OfferState], str | None] = _always
    mail: Mapping[str, ExtensionParameter] = field(default_factory=dict)
    rcpt: Mapping[str, ExtensionParameter] = field(default_factory=dict)
    mail_words: Callable[[Transaction], str] | None = None
    rcpt_words: Callable[[Addressee], str] | None = None


_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE
)
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*", re.IGNORECASE)


def _matching(fits: Callable[[str, bool], object]) -> ParameterReader:
    """The value as it was written, where it fits."""

    def read(value: str | None, utf8: bool) -> Value:
        if value is None or not fits(value, utf8):
            raise ValueError
        return value

    return read


def _one_of(*words: str) -> ParameterReader:
    def read(value: str | None, utf8: bool) -> Value:
        if value is None or value.upper() not in words:
            raise ValueError
        return value.upper()

    return read


def _size(value: str | None, utf8: bool) -> Value:
    if not value or not value.isascii() or not value.isdigit() or len(value) > 20:
        raise ValueError
    return int(value)


def _flag(value: str | None, utf8: bool) -> Value:
    if value is not None:
        raise ValueError
    return True


def _hold_for(value: str | None, utf8: bool) -> Value:
    """RFC 4865 section 4.1: seconds."""
    if value is None or not re.fullmatch("[1-9][0-9]{0,8}", value):
        raise ValueError
    return int(value)


def _hold_until(value: str | None, utf8: bool) -> Value:
    """The same: a time with its zone (RFC 3339), here in seconds since the epoch."""
    if value is None or not _DATE_TIME.fullmatch(value):
        raise ValueError
    return int(datetime.fromisoformat(value.upper()).timestamp())


def _original_recipient(value: str, utf8: bool) -> bool:
    """RFC 3461 section 4.2; beyond US-ASCII RFC 6533 section 3."""
    return ";" in value and len(value) <= 500 and (utf8 or _XTEXT.fullmatch(value) is not None)


def _size_word(message: Transaction) -> str:
    return "" if message.size is None else f" SIZE={message.size}"


def _return_words(message: Transaction) -> str:
    return (f" RET={message.ret}" if message.ret else "") + (f" ENVID={message.envid}" if message.envid else "")


def _notify_words(recipient: Addressee) -> str:
    notify = f" NOTIFY={recipient.notify}" if recipient.notify else ""
    return notify + (f" ORCPT={recipient.orcpt}" if recipient.orcpt else "")


EXTENSIONS = (
    Extension("PIPELINING"),  # RFC 2920
    Extension(  # RFC 1870
        "SIZE",
        offer=lambda state: str(state.max_size),
        mail={"SIZE": ExtensionParameter(_size, "size")},
        mail_words=_size_word,
    ),
    Extension(  # RFC 6152
        "8BITMIME",
        mail={"BODY": ExtensionParameter(_one_of("7BIT", "8BITMIME"), "body")},
        mail_words=lambda message: " BODY=8BITMIME" if message.eight_bit else "",
    ),
    Extension(  # RFC 6531
        "SMTPUTF8",
        mail={"SMTPUTF8": ExtensionParameter(_flag, "smtputf8")},
        mail_words=lambda message: " SMTPUTF8" if message.smtputf8 else "",
    ),
    Extension("CHUNKING"),  # RFC 3030
    Extension("ENHANCEDSTATUSCODES"),  # RFC 2034
    Extension(  # RFC 3461
        "DSN",
        mail={
            "RET": ExtensionParameter(_one_of("FULL", "HDRS"), "ret"),
            "ENVID": ExtensionParameter(
                _matching(lambda value, utf8: _XTEXT.fullmatch(value) and len(value) <= 100), "envid"
            ),
        },
        rcpt={
            "NOTIFY": ExtensionParameter(_matching(lambda value, utf8: _NOTIFY.fullmatch(value)), "notify"),
            "ORCPT": ExtensionParameter(_matching(_original_recipient), "orcpt"),
        },
        mail_words=_return_words,
        rcpt_words=_notify_words,
    ),
    Extension(  # RFC 8689
        "REQUIRETLS",
        offer=lambda state: "" if state.tls is Tls.ACTIVE else None,
        mail={"REQUIRETLS": ExtensionParameter(_flag, "require_tls")},
        mail_words=lambda message: " REQUIRETLS" if message.require_tls else "",
    ),
    Extension(  # RFC 4865; a client has no use for it: what is to wait waits here, where it can be called back
        "FUTURERELEASE",
        offer=lambda state: state.max_hold or None if state.tls is Tls.ACTIVE else None,
        mail={
            "HOLDFOR": ExtensionParameter(_hold_for, "hold_for"),
            "HOLDUNTIL": ExtensionParameter(_hold_until, "hold_until"),
        },
    ),
    Extension("XCLIENT", offer=lambda state: "LOGIN" if state.xclient else None),  # Postfix' XCLIENT_README
    Extension("STARTTLS", offer=lambda state: "" if state.tls is Tls.AVAILABLE else None),  # RFC 3207
    Extension(  # RFC 4954
        "AUTH",
        offer=lambda state: " ".join(state.mechanisms) or None if state.tls is Tls.ACTIVE else None,
        # Section 5: by whom the message was first submitted; we trust our own log-in only.
        mail={"AUTH": ExtensionParameter(_matching(lambda value, utf8: True))},
    ),
)

MAIL_PARAMETERS: Mapping[str, ExtensionParameter] = MappingProxyType(
    {name: parameter for row in EXTENSIONS for name, parameter in row.mail.items()}
)
RCPT_PARAMETERS: Mapping[str, ExtensionParameter] = MappingProxyType(
    {name: parameter for row in EXTENSIONS for name, parameter in row.rcpt.items()}
)


def offers(state: OfferState) -> list[str]:
    """The lines of an EHLO reply after the first."""
    words = [(row.keyword, row.offer(state)) for row in EXTENSIONS]
    return [f"{keyword} {behind}".rstrip() for keyword, behind in words if behind is not None]
