"""Programs that users may let act for them: registered by an administrator, public clients in OAuth's words (RFC 8252).

Such a program has no secret; what protects its users is where it may be led back to, and PKCE. The functions work in
the caller's transaction. Knows no HTTP.
"""

import re
import secrets
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import Connection, Row, delete, insert, select

from outgate.directory.errors import AlreadyExists, Invalid, NotFound
from outgate.frozen import frozen
from outgate.store.tables import access_token
from outgate.store.tables import program as table

MOST_URIS: Final = 10
_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")
_URI: Final = re.compile(r"[!#-;=?-\[\]_a-z~]{1,2000}")  # without spaces, quotes and brackets
_LOOPBACK: Final = ("127.0.0.1", "[::1]", "localhost")


@frozen
class RegisteredProgram:
    """One, with where it may be led back to."""

    id: int
    name: str
    client_id: str
    redirect_uris: tuple[str, ...]
    created_at: float

    def accepts(self, redirect_uri: str) -> bool:
        """Whether it may be led back there: as registered; on the user's own machine at any port (RFC 8252 7.3)."""
        return any(_same_place(one, redirect_uri) for one in self.redirect_uris)


def listed(connection: Connection) -> tuple[RegisteredProgram, ...]:
    """All there are, by name."""
    return tuple(_made(row) for row in connection.execute(select(table).order_by(table.c.name)))


def by_client_id(connection: Connection, client_id: str) -> RegisteredProgram:
    """The program that names itself so. Raises NotFound."""
    row = connection.execute(select(table).where(table.c.client_id == client_id)).first()
    if row is None:
        raise NotFound("no program is registered here that names itself '{client_id}'", client_id=client_id[:80])
    return _made(row)


def register(connection: Connection, name: str, redirect_uris: Sequence[str], now: float) -> RegisteredProgram:
    """A new one. Raises AlreadyExists, Invalid."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            "'{name}' is not a program's name: small letters, digits and hyphens, at most 30, a letter first",
            name=name[:80],
        )
    if connection.scalar(select(table.c.id).where(table.c.name == name)) is not None:
        raise AlreadyExists("there is a program {name} already", name=name)
    if not 1 <= len(redirect_uris) <= MOST_URIS:
        raise Invalid("a program has 1 to {most} addresses to be led back to", most=MOST_URIS)
    for one in redirect_uris:
        _check(one)
    row = {
        "name": name,
        "client_id": f"{name}-{secrets.token_hex(8)}",
        "redirect_uris": " ".join(redirect_uris),
        "created_at": now,
    }
    connection.execute(insert(table).values(row))
    return by_client_id(connection, str(row["client_id"]))


def remove(connection: Connection, name: str) -> RegisteredProgram:
    """Take one away, with all that users have let it do, and its tokens. Raises NotFound."""
    found = next((one for one in listed(connection) if name in (one.name, one.client_id)), None)
    if found is None:
        raise NotFound("there is no program '{name}'; `outgate program list` shows those that exist", name=name[:80])
    connection.execute(delete(access_token).where(access_token.c.client == found.client_id))
    connection.execute(delete(table).where(table.c.id == found.id))
    return found


def _check(uri: str) -> None:
    parts = _split(uri)
    if parts is not None and not parts.fragment and "@" not in parts.netloc:
        if parts.scheme == "https" and parts.hostname:
            return
        if parts.scheme == "http" and _host(parts) in _LOOPBACK:
            return
    raise Invalid(
        "'{uri}' can't be led back to: it must be https, or http on 127.0.0.1, [::1] or localhost, without a #",
        uri=uri[:200],
    )


def _same_place(registered: str, asked: str) -> bool:
    if registered == asked:
        return True
    known, wanted = _split(registered), _split(asked)
    if known is None or wanted is None or known.scheme != "http" or "@" in wanted.netloc:
        return False
    return (
        _host(known) in _LOOPBACK
        and _host(known) == _host(wanted)
        and (known.scheme, known.path, known.query, "") == (wanted.scheme, wanted.path, wanted.query, wanted.fragment)
    )


def _split(uri: str) -> SplitResult | None:
    """None if it is no URI, or one that programs read differently."""
    if not _URI.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _made(row: Row[Any]) -> RegisteredProgram:
    return RegisteredProgram(row.id, row.name, row.client_id, tuple(row.redirect_uris.split()), row.created_at)
