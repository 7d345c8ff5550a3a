"""Application passwords: long random ones that one program is given in place of the user's own.

Shown once; only SHA-256 digests are kept, which is enough for 120 random bits. One may be revoked without touching
the others. Spaces and the case of letters don't count, since people copy them by hand.
"""

import base64
import re
import secrets
from collections.abc import Iterable
from dataclasses import field
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, delete, insert, or_, select, update

from outgate.directory.change import touch
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.directory.secret_digest import digest
from outgate.frozen import frozen
from outgate.store.tables import application_password as table

AT_MOST: Final = 20  # of one account
MAX_NAME: Final = 100  # characters
NOTED_EVERY: Final = 300.0  # seconds: `last_used_at` is not written at each log-in

_FORM: Final = re.compile("[A-Z2-7]{24}")


class Scope(StrEnum):
    """What an application password is good for."""

    SMTP = "smtp"
    API = "api"


@frozen
class ApplicationPassword:
    """One of an account's, without its secret."""

    id: int
    name: str
    scope: Scope
    created_at: float
    last_used_at: float | None
    digest: bytes = field(repr=False)


def create(connection: Connection, account_id: int, name: str, scope: Scope, now: float) -> str:
    """A new one; returns the secret, six groups of four letters and digits, which nobody can show again.

    Raises Invalid (the name), AlreadyExists (another has it) and NotAllowed (there are too many).
    """
    touch(connection)
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise Invalid("an application password has a name of 1 to {most} characters", most=MAX_NAME)
    there = listed(connection, account_id)
    if any(one.name == name for one in there):
        raise AlreadyExists(
            "there is an application password '{name}' already; revoke it first, or take another name", name=name
        )
    if len(there) >= AT_MOST:
        raise NotAllowed(
            "there are {most} application passwords already; revoke one that is not used any more", most=AT_MOST
        )
    secret = base64.b32encode(secrets.token_bytes(15)).decode()
    row = {"account_id": account_id, "name": name, "scope": scope.value, "created_at": now}
    connection.execute(insert(table).values(**row, digest=digest(secret)))
    return " ".join(secret[start : start + 4] for start in range(0, 24, 4))


def listed(connection: Connection, account_id: int) -> tuple[ApplicationPassword, ...]:
    """An account's, by age."""
    columns = (table.c.id, table.c.name, table.c.scope, table.c.created_at, table.c.last_used_at, table.c.digest)
    rows = connection.execute(select(*columns).where(table.c.account_id == account_id).order_by(table.c.id))
    return tuple(ApplicationPassword(row[0], row[1], Scope(row[2]), *row[3:]) for row in rows)


def revoke(connection: Connection, account_id: int, name: str) -> ApplicationPassword:
    """No log-in with it from now on; sessions that it opened send nothing more. Raises NotFound."""
    touch(connection)
    found = next((one for one in listed(connection, account_id) if one.name == name), None)
    if found is None:
        raise NotFound("there is no application password '{name}'; see: outgate app-password list ADDRESS", name=name)
    connection.execute(delete(table).where(table.c.id == found.id))
    return found


def match(those: Iterable[ApplicationPassword], offered: str, scope: Scope) -> ApplicationPassword | None:
    """The one that was offered, if it is good for this."""
    secret = "".join(offered.split()).upper()
    if not _FORM.fullmatch(secret):
        return None
    # What is looked for is a digest of what the client sent: its time tells nothing about those that exist.
    shown = digest(secret)
    return next((one for one in those if one.digest == shown and one.scope is scope), None)


def note_use(connection: Connection, application_password: int, now: float) -> None:
    """It was used to log in; written only if the time kept is older than NOTED_EVERY seconds."""
    stale = or_(table.c.last_used_at.is_(None), table.c.last_used_at <= now - NOTED_EVERY)
    connection.execute(update(table).where(table.c.id == application_password, stale).values(last_used_at=now))
