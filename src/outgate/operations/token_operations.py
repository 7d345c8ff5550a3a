"""Tokens of programs: had for the signature of a service account's key, shown with each request of the API.

No operations: whoever has proven the key, or has the token, has the right.
"""

from sqlalchemy import Connection, Engine

from outgate.directory import access_tokens, service_accounts, users
from outgate.directory.access_tokens import AccessToken
from outgate.directory.change import lock
from outgate.directory.errors import DirectoryError
from outgate.directory.service_accounts import PublicKey
from outgate.frozen import frozen
from outgate.operations.actor import Actor
from outgate.record import audit_trail
from outgate.record.audit_trail import DENIED, AuditEntry
from outgate.store.engine import read, write
from outgate.store.vault import Vault


class NotGranted(DirectoryError):
    """The service account was not granted all that it asks for."""


class NoSuchSubject(DirectoryError):
    """There is no such user, or none that anybody could act for."""


@frozen
class TokenHolder:
    """Who makes a request: the token, and the user that it acts for."""

    token: AccessToken
    address: str
    actor: Actor


def keys_of(engine: Engine, email: str) -> tuple[PublicKey, ...]:
    """What a service account's signature is checked with."""
    with read(engine) as connection:
        return service_accounts.public_keys(connection, email)


def token_for_subject(
    engine: Engine, vault: Vault, key: PublicKey, subject: str, scopes: frozenset[str], peer: str, now: float
) -> str:
    """A token by which a service account acts for a user. A refusal is on record. Raises NotGranted, NoSuchSubject."""
    refused: DirectoryError | None = None
    with write(engine) as connection:
        lock(connection)
        try:
            # Before the user: what was granted nothing finds out nobody's name.
            if missing := scopes - key.scopes:
                raise NotGranted("not granted: {scopes}", scopes=" ".join(sorted(missing)))
            account_id = _subject(connection, subject)
            return access_tokens.issue(connection, account_id, key.email, scopes, now, key.row)
        except (NotGranted, NoSuchSubject) as error:
            refused = error
            entry = AuditEntry(now, key.email, peer, "token.issue", subject, "/", DENIED, {"reason": str(error)})
            audit_trail.append(connection, vault, [entry])
    raise refused


def holder_of_token(engine: Engine, token: str, peer: str, now: float) -> TokenHolder | None:
    """Whose request it is that came with this token; None if nobody's."""
    with read(engine) as connection:
        found = access_tokens.find(connection, token, now)
        if found is None:
            return None
        user = users.by_id(connection, found.account_id)
        if user.suspended:
            return None
        return TokenHolder(found, user.address, Actor(user.address, peer, user.id, client=found.client))


def revoke_token(engine: Engine, token: str) -> bool:
    """End a token; whether there was one."""
    with write(engine) as connection:
        return access_tokens.revoke(connection, token)


def _subject(connection: Connection, address: str) -> int:
    try:
        user = users.find(connection, address)
    except DirectoryError:
        user = None
    if user is None or user.suspended:
        raise NoSuchSubject("{address} is no user, or is suspended", address=address[:80])
    return user.id
