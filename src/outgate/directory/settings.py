"""The settings of policy that there are: name, default, and how a value that somebody entered is checked. Pure.

A setting's value is JSON: true or false, a number, a text, or a list of texts or numbers. `field` is where
model.Policy has it.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from outgate.directory.errors import Invalid, NotFound
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical, canonical_domain
from outgate.model import Policy, Security, UnknownFrom, WithoutGateway

Value = bool | int | str | list[str] | list[int]

MAX_LIST: Final = 1000
MAX_FOOTER: Final = 4000  # characters
_NO_LIMIT: Final = 2**53


@frozen
class Setting:
    """What an administrator sets for a unit; `default` holds where no unit up to the root has a value.

    `check` takes what was entered (a text of the command line, or JSON of the API) and returns the value as it is kept,
    or raises Invalid. `form` says in words what may be entered. `made` makes the value that Policy holds of the kept.
    """

    name: str
    field: str
    default: Value
    form: str
    check: Callable[[Any], Value]
    summary: str
    made: Callable[[Any], Any] = lambda value: value


def setting(name: str) -> Setting:
    """The setting of this name, in any case. Raises NotFound with the names there are."""
    for known in SETTINGS.values():
        if known.name.lower() == name.lower():
            return known
    raise NotFound(
        "there is no setting '{text}'; the settings are: {settings}", text=name[:80], settings=", ".join(SETTINGS)
    )


def in_words(value: Value) -> str:
    """A value as the command line takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(str(one) for one in value) if isinstance(value, list) else str(value)


# --- checks ----------------------------------------------------------------------------------------------------------

_WORDS: Final = {"on": True, "true": True, "off": False, "false": False}


def _switch(entered: Any) -> bool:
    if isinstance(entered, bool):
        return entered
    if isinstance(entered, str) and entered.lower() in _WORDS:
        return _WORDS[entered.lower()]
    raise Invalid("'{text}' is neither on nor off", text=_short(entered))


def _number(entered: Any) -> int:
    if isinstance(entered, str) and re.fullmatch(r"\d{1,15}", entered):
        entered = int(entered)
    if isinstance(entered, int) and not isinstance(entered, bool) and 0 <= entered < _NO_LIMIT:
        return entered
    raise Invalid("'{text}' is not a number of at least 0 (0 is no limit)", text=_short(entered))


def _choice(kind: type[StrEnum]) -> Callable[[Any], str]:
    def check(entered: Any) -> str:
        try:
            return kind(_text(entered).lower()).value
        except ValueError:
            raise Invalid("'{text}' is not one of: {choices}", text=_short(entered), choices=", ".join(kind)) from None

    return check


def _list(check: Callable[[str], Any]) -> Callable[[Any], list[Any]]:
    def checked(entered: Any) -> list[Any]:
        parts = entered.split(",") if isinstance(entered, str) else entered
        if not isinstance(parts, list):
            raise Invalid("'{text}' is not a list; separate its entries by commas", text=_short(entered))
        found = [check(text) for part in parts if (text := _entry(part))]
        if len(found) > MAX_LIST:
            raise Invalid("a list has at most {most} entries", most=MAX_LIST)
        return list(dict.fromkeys(found))

    return checked


def _entry(part: Any) -> str:
    """An entry of a list, as text: a program may send a port as a number."""
    if isinstance(part, str | int) and not isinstance(part, bool):
        return str(part).strip()
    raise Invalid("'{text}' is neither a text nor a whole number", text=_short(part))


def _text(entered: Any) -> str:
    if isinstance(entered, str):
        return entered
    raise Invalid("'{text}' is not a text", text=_short(entered))


def _domain_pattern(text: str) -> str:
    star, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        return star + canonical_domain(name)
    except AddressError:
        raise Invalid("'{text}' is neither a host name nor of the form *.example.com", text=_short(text)) from None


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise Invalid("'{text}' is not a port; it is a number from 1 to 65535", text=_short(text))


def _address(entered: Any) -> str:
    if entered == "":
        return ""
    try:
        return canonical(_text(entered))
    except AddressError as error:
        raise Invalid(error.text, **error.facts) from None


def _footer(entered: Any) -> str:
    text = _text(entered).replace("\r\n", "\n").strip("\n")
    if len(text) > MAX_FOOTER:
        raise Invalid("a footer has at most {most} characters", most=MAX_FOOTER)
    if any(not char.isprintable() and char not in "\n\t" for char in text):
        raise Invalid("a footer has printable characters, tabs and line ends only")
    return text


def _attachment(text: str) -> str:
    """A media type as in application/zip or application/*, or a file name's ending as in .exe."""
    text = text.lower()
    if re.fullmatch(r"\.[a-z0-9_-]{1,20}|[a-z0-9.+-]+/([a-z0-9.+-]+|\*)", text):
        return text
    raise Invalid(
        "'{text}' is neither an ending such as .exe nor a media type such as application/zip", text=_short(text)
    )


def _short(entered: Any) -> str:
    return "".join(char if char.isprintable() else "?" for char in str(entered)[:80])


# --- the settings ----------------------------------------------------------------------------------------------------

ALLOW_EXTERNAL_SMTP: Final = Setting(
    "allowUsersToUseExternalSmtpServers",
    "allow_external_smtp",
    False,
    "on or off",
    _switch,
    "Allow users to send mail through an external SMTP server when configuring a 'from' address hosted outside"
    " your email domains",
)
_DOMAINS = "names, *.example.com for all below one; empty for any"

_ALL: Final = (
    ALLOW_EXTERNAL_SMTP,
    Setting(
        "gatewayNotAllowed",
        "without_gateway",
        "organisation",
        "organisation or refuse",
        _choice(WithoutGateway),
        "What becomes of mail whose configured gateway is not allowed (any more): the organisation's servers deliver"
        " it on behalf of the user, or it is refused",
        WithoutGateway,
    ),
    Setting(
        "allowExternalFromWithoutGateway",
        "external_from",
        True,
        "on or off",
        _switch,
        "Allow From addresses outside the organisation's domains to be sent by the organisation's servers",
    ),
    Setting(
        "allowedGatewayHosts",
        "gateway_hosts",
        [],
        _DOMAINS,
        _list(_domain_pattern),
        "Hosts that users' gateways may be",
        tuple,
    ),
    Setting(
        "allowedGatewayPorts",
        "gateway_ports",
        [],
        "ports; empty for those of egress.ports",
        _list(_port),
        "Ports of users' gateways",
        tuple,
    ),
    Setting(
        "allowedGatewaySecurity",
        "gateway_security",
        [],
        "of starttls, ssl, none; empty for any",
        _list(_choice(Security)),
        "How users' gateways may be connected to",
        lambda value: tuple(Security(one) for one in value),
    ),
    Setting("requireGatewayTls", "require_tls", False, "on or off", _switch, "Refuse users' gateways without TLS"),
    Setting(
        "messagesPerDay",
        "messages_per_day",
        0,
        "a number; 0 is no limit",
        _number,
        "Messages that a user may send in 24 hours",
    ),
    Setting(
        "recipientsPerDay",
        "recipients_per_day",
        0,
        "a number; 0 is no limit",
        _number,
        "Recipients that a user may send to in 24 hours",
    ),
    Setting(
        "messagesPerHour",
        "messages_per_hour",
        0,
        "a number; 0 is no limit",
        _number,
        "Messages that a user may send in an hour of the clock",
    ),
    Setting(
        "recipientsPerHour",
        "recipients_per_hour",
        0,
        "a number; 0 is no limit",
        _number,
        "Recipients that a user may send to in an hour of the clock",
    ),
    Setting(
        "unitMessagesPerDay",
        "unit_messages_per_day",
        0,
        "a number; 0 is no limit",
        _number,
        "Messages that all users together may send in 24 hours who have this value from the same unit",
    ),
    Setting(
        "unitRecipientsPerDay",
        "unit_recipients_per_day",
        0,
        "a number; 0 is no limit",
        _number,
        "Recipients that all users together may send to in 24 hours who have this value from the same unit",
    ),
    Setting(
        "unitMessagesPerHour",
        "unit_messages_per_hour",
        0,
        "a number; 0 is no limit",
        _number,
        "Messages that all users together may send in an hour of the clock who have this value from the same unit",
    ),
    Setting(
        "unitRecipientsPerHour",
        "unit_recipients_per_hour",
        0,
        "a number; 0 is no limit",
        _number,
        "Recipients that all users together may send to in an hour of the clock who have this value from the same unit",
    ),
    Setting(
        "recipientsPerMessage",
        "recipients_per_message",
        0,
        "a number; 0 is no limit but submission.max_recipients",
        _number,
        "Recipients of one message of a user",
    ),
    Setting(
        "maxMessageBytes",
        "message_bytes",
        0,
        "a number of bytes; 0 is no limit but submission.max_message_bytes",
        _number,
        "Largest message of a user",
    ),
    Setting(
        "unknownFrom",
        "unknown_from",
        "refuse",
        "refuse or rewrite",
        _choice(UnknownFrom),
        "What becomes of a From that is not the user's: refused, or replaced by the default address and kept in"
        " X-Outgate-Original-From",
        UnknownFrom,
    ),
    Setting(
        "allowPlusTagsInFrom",
        "plus_tags",
        True,
        "on or off",
        _switch,
        "Allow From addresses that add a +tag to a confirmed address: alice+shop@ where alice@ is confirmed",
    ),
    Setting(
        "gatewayJournalAddress",
        "journal_to",
        "",
        "an address; empty for none",
        _address,
        "Archive address that gets a copy of all that leaves by users' gateways",
    ),
    Setting(
        "gatewayFooter",
        "footer",
        "",
        "a text; empty for none",
        _footer,
        "Footer of messages that leave by users' gateways",
    ),
    Setting(
        "allowedRecipientDomains",
        "recipient_domains",
        [],
        _DOMAINS,
        _list(_domain_pattern),
        "Domains that users' gateways may be used to send to",
        tuple,
    ),
    Setting(
        "deniedRecipientDomains",
        "refused_recipient_domains",
        [],
        "names, *.example.com for all below one",
        _list(_domain_pattern),
        "Domains that users' gateways may not be used to send to",
        tuple,
    ),
    Setting(
        "maxAttachmentBytes",
        "attachment_bytes",
        0,
        "a number of bytes; 0 is no limit",
        _number,
        "Largest attachment that may leave by a user's gateway",
    ),
    Setting(
        "deniedAttachmentTypes",
        "refused_attachments",
        [],
        "endings such as .exe, media types such as application/zip or audio/*",
        _list(_attachment),
        "Attachments that may not leave by a user's gateway",
        tuple,
    ),
)

SETTINGS: Final = {setting.name: setting for setting in _ALL}

assert {one.field for one in _ALL} == set(Policy.__dataclass_fields__) - {"sources"}
