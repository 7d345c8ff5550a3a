"""The TXT record by which a domain asks for reports (RFC 8460 section 3), read strictly. Pure.

It is anybody's text. Knows no DNS.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical

MOST: Final = 5  # places that one report is sent to

_VERSION: Final = "v=TLSRPTv1"
_SPACE: Final = " \t"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_VALUE = re.compile(r"[!-:<>-~]+")  # printable, without `;` and `=`
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


@frozen
class ReportPlace:
    """Where reports are wanted: an address for mail, or an https URL; the other is empty."""

    address: str = ""
    url: str = ""

    def __str__(self) -> str:
        return self.url or f"mailto:{self.address}"


def places(records: Sequence[str]) -> tuple[ReportPlace, ...] | None:
    """Where a domain wants its reports, by the texts of its TXT records; at most MOST, in its order.

    None if it does not ask for any: not exactly one record of this version, or one that breaks the grammar. Fields that
    are not known are passed over, and so are schemes and addresses: () is one that names nothing usable.
    """
    split = [_split(text, ";") for text in records]
    ours = [fields for version, *fields in split if version == _VERSION]
    if len(ours) != 1:
        return None
    (fields,) = ours
    if fields and not fields[-1]:  # a delimiter may end it
        fields.pop()
    wanted: list[str] = []
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not _NAME.fullmatch(name):
            return None
        if name == "rua":
            wanted += _split(value, ",")
        elif not _VALUE.fullmatch(value):
            return None
    if not wanted or not all(_URI.fullmatch(uri) for uri in wanted):
        return None
    found = dict.fromkeys(place for uri in wanted if (place := _place(uri)))
    return tuple(found)[:MOST]


def _split(text: str, delimiter: str) -> list[str]:
    return [part.strip(_SPACE) for part in text.split(delimiter)]


def _place(uri: str) -> ReportPlace | None:
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "https":
        return ReportPlace(url=uri) if _has_host(uri) else None
    if scheme.lower() != "mailto":
        return None
    try:
        # What a mailto has of header fields is not looked at, nor more than one address (RFC 6068).
        address = unquote(rest.partition("?")[0], errors="strict")
        canonical(address)
    except (AddressError, UnicodeDecodeError):
        return None
    return ReportPlace(address=address)


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
