"""Makes the header block that leaves: what changes on the way of a message, and nothing else.

docs/header-changes.md lists the changes by route. Knows no route: the caller says which Sender, and what to hide.
"""

from collections.abc import Sequence

from outgate.frozen import frozen
from outgate.mail.address_hiding import hiding
from outgate.mail.address_leak import needle
from outgate.mail.addresses import AddressError, Mailbox, canonical, format_mailbox, parse_mailboxes
from outgate.mail.headers import Field, format_date, value


@frozen
class Trace:
    """What the Received line tells (RFC 5321 4.4): our host, the message's identity, the protocol (RFC 3848), when."""

    hostname: str
    identity: str
    protocol: str
    received_at: float


# For the recipients' eyes never (RFC 5322 3.6.3), the final server's to write (RFC 5321 4.4), or no Internet field.
_DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path", b"content-length"})

# What the writer addresses or types himself: if he puts his primary address there, he means to.
_WRITTEN = frozenset(
    {
        b"to",
        b"cc",
        b"reply-to",
        b"from",
        b"subject",
        b"resent-to",
        b"resent-cc",
        b"comments",
        b"keywords",
        b"mail-followup-to",
        b"mail-reply-to",
    }
)

# What mail programs and servers add to tell the account, whatever stands in it.
_ACCOUNT = frozenset(
    {
        b"x-sender",
        b"x-sender-id",
        b"x-sender-info",
        b"x-authenticated-sender",
        b"x-authenticated-user",
        b"x-authenticated-id",
        b"x-auth-user",
        b"x-auth-id",
        b"x-authuser",
        b"x-authentication-warning",
        b"x-originating-ip",
        b"x-originating-email",
        b"x-original-from",
        b"x-original-sender",
        b"x-google-original-from",
        b"x-google-sender-auth",
        b"x-envelope-from",
        b"x-env-sender",
        b"x-get-message-sender-via",
        b"x-source-auth",
        b"x-account-key",
        b"x-identity-key",
        b"x-identity",
    }
)


def outgoing(
    fields: Sequence[Field],
    *,
    trace: Trace,
    sender: str | None,
    hide: str | None,
    from_domain: str,
    rewrite_from: Mailbox | None = None,
) -> bytes:
    """The header block to transmit, without the empty line.

    `sender` becomes the Sender field ("on behalf of"). `hide` is the primary address (compared form) of which no
    field may tell, for mail through a user's own gateway. A Message-ID that is missing is made at `from_domain` from
    the identity, so that it is the same at each attempt. `rewrite_from` takes the place of From, which is kept in
    X-Outgate-Original-From.
    """
    if rewrite_from is not None:
        fields = _rewritten(fields, rewrite_from)
    kept = [field for field in fields if field.name not in _DROPPED and field.name != b"sender"]
    if hide is not None:
        kept = _without(kept, hide)
    lines = [_received(trace), *[field.raw for field in kept]]
    if line := _sender_line(fields, sender, hide):
        lines.append(line)
    names = {field.name for field in kept}
    if b"date" not in names:
        lines.append(b"Date: %b\r\n" % format_date(int(trace.received_at)).encode())
    if b"message-id" not in names:
        lines.append(f"Message-ID: {made_message_id(trace.identity, from_domain)}\r\n".encode())
    return b"".join(lines)


def made_message_id(identity: str, sender: str) -> str:
    """The Message-ID of a message that came without, from this address or domain."""
    return f"<{identity}@{sender.rpartition('@')[2]}>"


def _rewritten(fields: Sequence[Field], mailbox: Mailbox) -> list[Field]:
    line = f"From: {format_mailbox(mailbox.display_name, mailbox.address)}\r\n".encode()
    kept = [
        Field(b"x-outgate-original-from", b"X-Outgate-Original-From:" + field.raw.partition(b":")[2])
        for field in fields
        if field.name == b"from"
    ]
    return [Field(b"from", line), *(field for field in fields if field.name != b"from"), *kept]


def _received(trace: Trace) -> bytes:
    """No client address and no account: they are the organisation's own business."""
    date = format_date(int(trace.received_at))
    return f"Received: by {trace.hostname} with {trace.protocol} id {trace.identity};\r\n\t{date}\r\n".encode()


def _without(fields: list[Field], hide: str) -> list[Field]:
    """The fields that don't tell of `hide`. Most messages have none that does: one look at all of them first."""
    fields = [field for field in fields if field.name not in _ACCOUNT]
    hidden = needle(hide)
    if not hidden.found_in(b"".join([field.raw for field in fields if field.name not in _WRITTEN])):
        return fields
    kept = [field if field.name in _WRITTEN else hiding(field, hidden) for field in fields]
    return [field for field in kept if field is not None]


def _sender_line(fields: Sequence[Field], sender: str | None, hide: str | None) -> bytes | None:
    """With several From addresses there must be a Sender (RFC 5322 3.6.2): the submitted one if it is one of them."""
    if sender is not None:
        return f"Sender: {sender}\r\n".encode()
    header_from = next((field for field in fields if field.name == b"from"), None)
    if header_from is None or b"," not in header_from.raw:
        return None
    authors = _addresses(header_from)
    if len(authors) < 2:
        return None
    submitted = next((field for field in fields if field.name == b"sender"), None)
    claimed = _addresses(submitted) if submitted else []
    if submitted is None or len(claimed) != 1 or claimed[0] not in authors:
        return f"Sender: {authors[0]}\r\n".encode()
    if hide is not None and needle(hide).found_in(submitted.raw):
        return f"Sender: {claimed[0]}\r\n".encode()
    return submitted.raw


def _addresses(field: Field) -> list[str]:
    try:
        return [canonical(mailbox.address) for mailbox in parse_mailboxes(value(field))]
    except AddressError:
        return []
