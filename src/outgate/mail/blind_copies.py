"""A message for an interface that has no envelope: its recipients are those whom its header names. Pure.

Whoever is to get it and is not named goes into a Bcc field, which the interface takes out. Whoever is named and is not
to get it would get it all the same: such a message can't be handed over there.
"""

from collections.abc import Sequence
from typing import Final

from outgate.mail.addresses import AddressError, ascii_form, canonical, parse_mailboxes
from outgate.mail.headers import split_fields, value

_NAMING: Final = (b"to", b"cc")
# Programs differ in whether these name recipients (RFC 5322 section 3.6.6).
_RESENT: Final = (b"resent-to", b"resent-cc")
_SHOWN: Final = 5  # addresses in an error


class NotAddressable(ValueError):
    """The header can't be made to name those recipients and nobody else; the text says why."""


def addressed(header: bytes, recipients: Sequence[str]) -> bytes:
    """The header block with a Bcc field before it, if one is wanted. Raises NotAddressable."""
    named = _named(header)
    wanted = {canonical(address): address for address in recipients}
    if others := [address for address in named if address not in wanted]:
        shown = ", ".join(others[:_SHOWN]) + (" and others" if len(others) > _SHOWN else "")
        raise NotAddressable(
            f"it goes to all whom To and Cc name, and {shown} is not among those that this message is for"
        )
    return _field([address for key, address in wanted.items() if key not in named]) + header


def _named(header: bytes) -> dict[str, None]:
    """Whom the header names, in compared form."""
    found: dict[str, None] = {}
    for field in split_fields(header.removesuffix(b"\r\n") if header.endswith(b"\r\n\r\n") else header):
        if field.name in _RESENT:
            raise NotAddressable("it has fields of a message that is sent again (Resent-To), which name nobody there")
        if field.name in _NAMING and (text := value(field)):
            try:
                found |= dict.fromkeys(canonical(one.address) for one in parse_mailboxes(text))
            except AddressError as error:
                name = field.name.decode().title()
                raise NotAddressable(f"its {name} field can't be read: {error}") from None
    return found


def _field(addresses: Sequence[str]) -> bytes:
    """A Bcc field, folded; nothing for nobody."""
    if not addresses:
        return b""
    lines, line = [], b"Bcc:"
    for number, address in enumerate(addresses):
        entry = b" " + (ascii_form(address) or address).encode() + (b"," if number + 1 < len(addresses) else b"")
        if len(line) + len(entry) > 78 and line != b"Bcc:":
            lines.append(line)
            line = b""
        line += entry
    return b"\r\n".join([*lines, line]) + b"\r\n"
