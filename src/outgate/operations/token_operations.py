"""Tokens of programs: had for the signature of a service account's key, or for a user's consent; shown with each
request of the API.

No operations: whoever has proven the key, or has the token, has the right.
"""

from dataclasses import field

from sqlalchemy import Connection, Engine

from outgate.directory import access_tokens, program_consents, service_accounts, users
from outgate.directory.access_tokens import AccessToken
from outgate.directory.change import lock
from outgate.directory.errors import DirectoryError
from outgate.directory.program_consents import Redeemed
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


@frozen
class ProgramTokens:
    """What a program gets for a consent."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    scopes: frozenset[str]


def tokens_for_code(
    engine: Engine, client_id: str, code: str, redirect_uri: str, verifier: str, now: float
) -> ProgramTokens | None:
    """The first tokens of a program that a user lets act for them; None if the code is not good for it."""
    with write(engine) as connection:
        lock(connection)
        shown = program_consents.redeem_code(connection, client_id, code, redirect_uri, verifier, now)
        return _issued(connection, shown, now)


def tokens_for_refresh_token(engine: Engine, client_id: str, token: str, now: float) -> ProgramTokens | None:
    """Its next tokens; None if the refresh token is not good for it. A former one ends what the program may do."""
    with write(engine) as connection:
        lock(connection)
        return _issued(connection, program_consents.redeem_refresh_token(connection, client_id, token, now), now)


def _issued(connection: Connection, shown: Redeemed | None, now: float) -> ProgramTokens | None:
    if shown is None or users.by_id(connection, shown.account_id).suspended:
        return None
    issued = access_tokens.issue(connection, shown.account_id, shown.client_id, shown.scopes, now)
    return ProgramTokens(issued, shown.refresh_token, shown.scopes)


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


def revoke_token(engine: Engine, token: str, now: float) -> bool:
    """End a token, a refresh token with what it was given for; whether there was one."""
    with write(engine) as connection:
        lock(connection)  # a refresh at this moment comes before, and ends with the rest, or finds nothing
        return access_tokens.revoke(connection, token) or program_consents.end_by_token(connection, token, now)


def _subject(connection: Connection, address: str) -> int:
    try:
        user = users.find(connection, address)
    except DirectoryError:
        user = None
    if user is None or user.suspended:
        raise NoSuchSubject("{address} is no user, or is suspended", address=address[:80])
    return user.id
