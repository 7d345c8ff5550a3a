"""Entries of the directory made into users: searched page by page, each judged by itself. Knows no account.

What an entry holds was written by others: every value is checked, and a fault costs only the entry that has it.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal
from uuid import UUID

from outgate.config import LdapSettings
from outgate.frozen import frozen
from outgate.ldap.ldap_client import DEREF_NEVER, Connection, LdapUnavailable, result_of
from outgate.mail.addresses import AddressError, canonical, format_mailbox

Scope = Literal["BASE", "SUBTREE"]

PAGE: Final = 500  # entries; Active Directory gives at most 1,000 (MaxPageSize)
MAX_VALUE: Final = 1000  # bytes of a value that is used
MAX_DN: Final = 4000  # bytes

# By what the common directories say that an entry may not be used for log-in.
_UAC: Final = "userAccountControl"  # Active Directory: bit 0x2 is ACCOUNTDISABLE
_LOCKED: Final = "pwdAccountLockedTime"  # OpenLDAP's ppolicy: locked for good since this odd time
_LOCK: Final = "nsAccountLock"  # 389 Directory Server, FreeIPA
_LOCKED_FOR_GOOD: Final = b"000001010000Z"

# Results that say that a base is not there: referral to a server that would have it, noSuchObject, invalidDNSyntax.
_MISSING: Final = frozenset({10, 32, 34})


@frozen
class LdapEntry:
    """A user of the directory. `id` never changes; `address` is in compared form; `unit` is None if it is not kept."""

    id: str
    dn: str
    address: str
    name: str
    unit: str | None = None
    disabled: bool = False


@frozen
class Fault:
    """An entry that can't be used, and why; `id` as far as it is known, and the DN fit to be shown."""

    id: str | None
    dn: str
    text: str


class _Unusable(Exception):
    """A value that can't be used; the text names the attribute and never quotes a long value."""


def search(connection: Connection, settings: LdapSettings) -> Iterator[LdapEntry | Fault]:
    """All users. Raises LdapUnavailable as well when the answer is cut short: half a list looks like many gone."""
    cookie: bytes | None = None
    while True:
        _ask(connection, settings, settings.base, "SUBTREE", settings.filter, paged_size=PAGE, paged_cookie=cookie)
        yield from (_judged(found, settings) for found in _found(connection))
        controls = connection.result.get("controls") or {}
        cookie = controls.get("1.2.840.113556.1.4.319", {}).get("value", {}).get("cookie")  # RFC 2696
        if not cookie:
            return


def locate(connection: Connection, settings: LdapSettings, id_: str, dn: str) -> LdapEntry | Fault | None:
    """The user with this id now: at the DN where they were last, else wherever they are; None if they are gone.

    By the id even at the DN, since another person may have been given it.
    """
    wanted = f"(&{settings.filter}({settings.id_attribute}={_id_filter(id_, settings)}))"
    tries: tuple[tuple[str, Scope], ...] = ((dn, "BASE"), (settings.base, "SUBTREE"))
    for base, scope in tries:
        _ask(connection, settings, base, scope, wanted, missing=scope == "BASE")
        found = list(_found(connection))
        if len(found) > 1:
            raise LdapUnavailable(f"{len(found)} entries have the {settings.id_attribute} {id_}; it must be unique")
        if found:
            return _judged(found[0], settings)
    return None


def parse(dn: bytes, values: Mapping[str, Sequence[bytes]], settings: LdapSettings) -> LdapEntry | Fault:
    """What an entry's attributes say of a user. Their names are compared in lower case."""
    named = {name.lower(): tuple(those) for name, those in values.items()}
    id_: str | None = None
    try:
        id_ = _id(named, settings)
        address = _address(named, settings)
        return LdapEntry(
            id=id_,
            dn=_dn(dn),
            address=address,
            name=_name(named, settings, address),
            unit=_unit(named, settings),
            disabled=_is_disabled(named),
        )
    except _Unusable as fault:
        return Fault(id_, _shown(dn.decode(errors="replace")), str(fault))


def _ask(
    connection: Connection,
    settings: LdapSettings,
    base: str,
    scope: Scope,
    wanted: str,
    *,
    missing: bool = False,
    **page: Any,
) -> None:
    """Search; `missing` says that the base need not exist."""
    connection.search(
        base,
        wanted,
        scope,
        DEREF_NEVER,  # an alias leads out of the base
        attributes=_attributes(settings),
        time_limit=max(1, round(settings.timeout)),
        **page,
    )
    result = connection.result["result"]
    if result == 0 or (missing and result in _MISSING):
        return
    raise LdapUnavailable(f"{settings.url}: the search below {_shown(base)} failed: {result_of(connection)}")


def _found(connection: Connection) -> Iterator[dict[str, Any]]:
    """Entries of the last answer, without the references to other servers, which are not followed."""
    return (one for one in connection.response or () if one["type"] == "searchResEntry")


def _judged(found: Mapping[str, Any], settings: LdapSettings) -> LdapEntry | Fault:
    return parse(bytes(found["raw_dn"]), found["raw_attributes"], settings)


def _attributes(settings: LdapSettings) -> list[str]:
    names = [settings.id_attribute, settings.address_attribute, settings.name_attribute, settings.unit_attribute]
    return list(dict.fromkeys(name for name in (*names, _UAC, _LOCKED, _LOCK) if name))


def _id(named: Mapping[str, Sequence[bytes]], settings: LdapSettings) -> str:
    value = _single(named, settings.id_attribute)
    if _is_guid(settings):
        if len(value) != 16:
            raise _Unusable(f"{settings.id_attribute} has {len(value)} bytes instead of 16")
        return str(UUID(bytes_le=value))  # MS-DTYP 2.3.4: the first three fields are little-endian
    return _text(value, settings.id_attribute)


def _id_filter(id_: str, settings: LdapSettings) -> str:
    """The id as the value of a filter: every byte in hexadecimal (RFC 4515 section 3), so nothing can be injected."""
    value = UUID(id_).bytes_le if _is_guid(settings) else id_.encode()
    return "".join(f"\\{byte:02x}" for byte in value)


def _is_guid(settings: LdapSettings) -> bool:
    return settings.id_attribute.lower() == "objectguid"


def _address(named: Mapping[str, Sequence[bytes]], settings: LdapSettings) -> str:
    try:
        return canonical(_text(_single(named, settings.address_attribute), settings.address_attribute))
    except AddressError as error:
        raise _Unusable(f"{settings.address_attribute}: {error}") from None


def _name(named: Mapping[str, Sequence[bytes]], settings: LdapSettings, address: str) -> str:
    values = named.get(settings.name_attribute.lower(), ())
    name = _text(values[0], settings.name_attribute) if values else ""
    try:
        format_mailbox(name, address)
    except AddressError as error:
        raise _Unusable(f"{settings.name_attribute}: {error}") from None
    return name


def _unit(named: Mapping[str, Sequence[bytes]], settings: LdapSettings) -> str | None:
    if settings.unit_attribute is None or not named.get(settings.unit_attribute.lower()):
        return None
    return unicodedata.normalize("NFC", _text(_single(named, settings.unit_attribute), settings.unit_attribute))


def _is_disabled(named: Mapping[str, Sequence[bytes]]) -> bool:
    control = b"".join(named.get(_UAC.lower(), ())[:1])
    return (
        (control.isdigit() and len(control) < 12 and bool(int(control) & 0x2))
        or _LOCKED_FOR_GOOD in named.get(_LOCKED.lower(), ())
        or any(value.lower() == b"true" for value in named.get(_LOCK.lower(), ()))
    )


def _single(named: Mapping[str, Sequence[bytes]], attribute: str) -> bytes:
    """The only value: a set has no first one, so of several none is the user's."""
    values = named.get(attribute.lower(), ())
    if len(values) != 1:
        raise _Unusable(f"there are {len(values)} values of {attribute}; one is needed")
    return values[0]


def _text(value: bytes, attribute: str) -> str:
    if not 0 < len(value) <= MAX_VALUE:
        raise _Unusable(f"{attribute} has {len(value)} bytes; 1 to {MAX_VALUE} can be used")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise _Unusable(f"{attribute} is not UTF-8") from None
    if not text.isprintable():
        raise _Unusable(f"{attribute} has a character that can't be printed")
    return text


def _dn(dn: bytes) -> str:
    if not 0 < len(dn) <= MAX_DN:
        raise _Unusable(f"the DN has {len(dn)} bytes; 1 to {MAX_DN} can be used")
    try:
        return dn.decode()
    except UnicodeDecodeError:
        raise _Unusable("the DN is not UTF-8") from None


def _shown(dn: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in dn[:200])
