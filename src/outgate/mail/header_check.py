"""Reads off a submitted header block what the decisions need. One pass, in the way of every message.

Knows no account and no route: it says what stands there, and refuses what no reader could understand in one way only.
"""

from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical, parse_mailboxes
from outgate.mail.headers import Field, HeaderError, split_fields, value


class MessageFault(ValueError):
    """The message can't be accepted. The text is for the submitter; `status` is the RFC 3463 code that fits it."""

    def __init__(self, text: str, status: str = "5.6.0") -> None:
        super().__init__(text)
        self.status = status


@frozen
class CheckedHeader:
    """What a header block says: From and Sender in compared form, the fields in order.

    `received_count` tells loops; `has_utf8` that the header is not US-ASCII and so asks for SMTPUTF8 (RFC 6532).
    """

    header_from: tuple[str, ...]
    sender: str | None
    received_count: int
    has_utf8: bool
    fields: list[Field]


# At most one of each (RFC 5322 section 3.6): with two, recipients' programs would differ on which counts.
_SINGLE = frozenset({b"from", b"sender", b"date", b"message-id", b"to", b"cc", b"subject", b"reply-to"})


def split_message(prefix: bytes) -> int | None:
    """Where the body begins, behind the empty line that ends the header; None if that is not in `prefix` yet."""
    if prefix.startswith(b"\r\n"):
        return 2
    end = prefix.find(b"\r\n\r\n")
    return None if end < 0 else end + 4


def examine(header: bytes) -> CheckedHeader:
    """Examine a header block, with or without the empty line at its end; raises MessageFault."""
    has_utf8 = _check_bytes(header)
    fields = _split(header)
    by_name: dict[bytes, list[Field]] = {}
    for field in fields:
        by_name.setdefault(field[0], []).append(field)
    for name in _SINGLE & by_name.keys():
        if len(by_name[name]) > 1:
            raise MessageFault(f"the message has more than one {_title(name)} field (RFC 5322 section 3.6)")
    return CheckedHeader(
        header_from=_header_from(by_name.get(b"from")),
        sender=_sender(by_name.get(b"sender")),
        received_count=len(by_name.get(b"received", ())),
        has_utf8=has_utf8,
        fields=fields,
    )


def _check_bytes(header: bytes) -> bool:
    """Whether the header has UTF-8 beyond US-ASCII; raises MessageFault on anything else beyond it, and on NUL."""
    if b"\0" in header:
        raise MessageFault("the header has a NUL byte")
    if header.isascii():
        return False
    try:
        header.decode()
    except UnicodeDecodeError:
        raise MessageFault("the header is not valid UTF-8; use encoded words (RFC 2047) or UTF-8") from None
    return True


def _split(header: bytes) -> list[Field]:
    block = header[:-2] if header.endswith(b"\r\n\r\n") or header == b"\r\n" else header
    try:
        return split_fields(block)
    except HeaderError as error:
        raise MessageFault(str(error)) from None


def _header_from(found: list[Field] | None) -> tuple[str, ...]:
    if found is None:
        raise MessageFault("the message has no From field; set From to one of your own addresses")
    try:
        addresses = tuple([canonical(mailbox.address) for mailbox in parse_mailboxes(value(found[0]))])
    except AddressError as error:
        raise MessageFault(f"the From field can't be read: {error}") from None
    if not addresses:
        raise MessageFault("the From field names no address; set From to one of your own addresses")
    return addresses


def _sender(found: list[Field] | None) -> str | None:
    """None as well for a Sender that names not exactly one address: it is never sent on, so it is no fault."""
    if found is None:
        return None
    try:
        mailboxes = parse_mailboxes(value(found[0]))
    except AddressError:
        return None
    return canonical(mailboxes[0].address) if len(mailboxes) == 1 else None


def _title(name: bytes) -> str:
    return name.decode().title().replace("Id", "ID")
