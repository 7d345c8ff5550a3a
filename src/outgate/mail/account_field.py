"""The field by which a trusted server in front says whose message it is. Knows no account and no server.

It is believed above the first Received field alone: that one is the server's own, and whatever the client has written
stands below it. So a client can't name somebody, even where the server forgets to take such a field out.
"""

from outgate.mail.headers import HeaderError, split_fields, value


def without_account_field(header: bytes, name: bytes) -> tuple[bytes, str]:
    """The header block without all fields of this name (in lower case), and whom they name: empty if nobody, or if
    several stand where one is believed. A header that can't be read stays as it is: it is refused later.
    """
    block = header.removesuffix(b"\r\n") if header.endswith(b"\r\n\r\n") else header
    try:
        fields = split_fields(block)
    except HeaderError:
        return header, ""
    names = [field.name for field in fields]
    first = names.index(b"received") if b"received" in names else 0
    named = [value(field) for field in fields[:first] if field.name == name]
    kept = b"".join([field.raw for field in fields if field.name != name]) + header[len(block) :]
    return kept, named[0].strip(b"<>").decode("utf-8", "replace") if len(named) == 1 else ""
