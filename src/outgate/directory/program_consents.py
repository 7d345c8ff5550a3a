"""What users let programs do for them: a code for the program, then refresh tokens, each good once (RFC 6749, 7636).

All refresh tokens of a consent have one part in common, by which a former one is known: whoever shows that ends the
consent, since either they or the program have stolen it (RFC 9700 4.14.2). Secrets are kept as digests. The functions
work in the caller's transaction. Knows no HTTP.
"""

import hmac
import re
import secrets
from dataclasses import field
from typing import Any, Final

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import Connection, Row, delete, insert, select, update

from outgate.directory.errors import Invalid, NotFound
from outgate.directory.programs import RegisteredProgram
from outgate.directory.secret_digest import digest
from outgate.frozen import frozen
from outgate.store.tables import access_token, program
from outgate.store.tables import program_consent as table

CODE_LASTS: Final = 300.0  # seconds
LIFETIME: Final = 180 * 86400.0  # seconds without use
MOST: Final = 50  # of one user
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 4.1
_PREFIX: Final = "outgate-refresh-"
_SECRET_BYTES: Final = 24


@frozen
class ProgramConsent:
    """What a user has let a program do; `used_at` is None until the program has had its first token."""

    id: int
    program: str
    scopes: tuple[str, ...]
    created_at: float
    used_at: float | None


@frozen
class Redeemed:
    """A consent that was shown, and the refresh token that is good from now on."""

    account_id: int
    client_id: str
    scopes: frozenset[str]
    refresh_token: str = field(repr=False)


def listed(connection: Connection, account_id: int, now: float) -> tuple[ProgramConsent, ...]:
    """A user's that hold, the newest first."""
    wanted = (
        select(table.c.id, program.c.name, table.c.scopes, table.c.created_at, table.c.used_at)
        .join_from(table, program)
        .where(table.c.account_id == account_id, table.c.ends_at > now, table.c.family_digest.is_not(None))
        .order_by(table.c.id.desc())
    )
    return tuple(
        ProgramConsent(row.id, row.name, tuple(row.scopes.split()), row.created_at, row.used_at)
        for row in connection.execute(wanted)
    )


def give(
    connection: Connection,
    account_id: int,
    to: RegisteredProgram,
    scopes: frozenset[str],
    redirect_uri: str,
    challenge: str,
    now: float,
) -> str:
    """Let a program act for a user; returns the code for it. `challenge` is PKCE's, by S256. Raises Invalid."""
    if not _CHALLENGE.fullmatch(challenge):
        raise Invalid("the program has sent no code_challenge by S256, without which anybody could take its place")
    connection.execute(delete(table).where(table.c.ends_at <= now))
    if len(listed(connection, account_id, now)) >= MOST:
        raise Invalid("you let {most} programs act for you already; end one first", most=MOST)
    code = secrets.token_urlsafe(_SECRET_BYTES)
    row = {
        "account_id": account_id,
        "program_id": to.id,
        "scopes": " ".join(sorted(scopes)),
        "created_at": now,
        "code_digest": digest(code),
        "challenge": challenge,
        "redirect_uri": redirect_uri,
        "ends_at": now + CODE_LASTS,
    }
    connection.execute(insert(table).values(row))
    return code


def redeem_code(
    connection: Connection, client_id: str, code: str, redirect_uri: str, verifier: str, now: float
) -> Redeemed | None:
    """The first tokens for a code; None if it is not good. One that comes twice, or with another's verifier, ends the
    consent (RFC 6749 4.1.2)."""
    row = _found(connection, now, table.c.code_digest == digest(code))
    if row is None:
        return None
    is_its = (row.client_id, row.redirect_uri) == (client_id, redirect_uri) and row.family_digest is None
    if not is_its or not _fits(row.challenge, verifier):
        _end(connection, row)
        return None
    return _renewed(connection, row, f"{_PREFIX}{secrets.token_urlsafe(_SECRET_BYTES)}", now)


def redeem_refresh_token(connection: Connection, client_id: str, token: str, now: float) -> Redeemed | None:
    """The next tokens for a refresh token; None if it is not good. A former one ends the consent."""
    family, row = _of_family(connection, token, now)
    if row is None or row.client_id != client_id:
        return None
    if not hmac.compare_digest(row.refresh_digest, digest(token)):
        _end(connection, row)
        return None
    return _renewed(connection, row, family, now)


def end(connection: Connection, account_id: int, consent: int) -> ProgramConsent:
    """A user takes back what a program was let do, with its tokens. Raises NotFound."""
    row = _found(connection, 0.0, table.c.id == consent)
    if row is None or row.account_id != account_id:
        raise NotFound("this program does not act for you any more")
    _end(connection, row)
    return ProgramConsent(row.id, row.name, tuple(row.scopes.split()), row.created_at, row.used_at)


def end_all(connection: Connection, account_id: int) -> int:
    """All of a user's; how many there were."""
    rows = connection.execute(_ALL.where(table.c.account_id == account_id)).all()
    for row in rows:
        _end(connection, row)
    return len(rows)


def end_by_token(connection: Connection, token: str, now: float) -> bool:
    """A program gives back what it was let do, by its refresh token; whether there was one."""
    _, row = _of_family(connection, token, now)
    if row is not None:
        _end(connection, row)
    return row is not None


_ALL: Final = select(table, program.c.client_id, program.c.name).join_from(table, program)


def _found(connection: Connection, now: float, condition: Any) -> Row[Any] | None:
    return connection.execute(_ALL.where(condition, table.c.ends_at > now)).first()


def _of_family(connection: Connection, token: str, now: float) -> tuple[str, Row[Any] | None]:
    family, dot, _ = token.rpartition(".")
    if not dot or not family.startswith(_PREFIX):
        return "", None
    return family, _found(connection, now, table.c.family_digest == digest(family))


def _renewed(connection: Connection, row: Row[Any], family: str, now: float) -> Redeemed:
    token = f"{family}.{secrets.token_urlsafe(_SECRET_BYTES)}"
    values = {
        "family_digest": digest(family),
        "refresh_digest": digest(token),
        "used_at": now,
        "ends_at": now + LIFETIME,
    }
    connection.execute(update(table).where(table.c.id == row.id).values(values))
    return Redeemed(row.account_id, row.client_id, frozenset(row.scopes.split()), token)


def _end(connection: Connection, row: Row[Any]) -> None:
    """With the program's access tokens for the user: of another consent of both it gets new ones."""
    held = (access_token.c.account_id == row.account_id, access_token.c.client == row.client_id)
    connection.execute(delete(access_token).where(*held))
    connection.execute(delete(table).where(table.c.id == row.id))


def _fits(challenge: str, verifier: str) -> bool:
    """Whether the verifier is what the challenge was made of (RFC 7636 4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    made: str = create_s256_code_challenge(verifier)  # type: ignore[no-untyped-call]  # the library has none
    return hmac.compare_digest(made, challenge)
