"""Proof that an address is the user's: a nine-digit code is mailed to it, and entered again.

Only a keyed digest of the code is kept. A code is good once, for three days and five tries.
"""

import hmac
import secrets
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from outgate.directory.change import lock, touch
from outgate.directory.errors import DirectoryError, Invalid, NotAllowed, NotFound
from outgate.sendas import addresses
from outgate.store import tables
from outgate.store.engine import write
from outgate.store.vault import Vault

DIGITS: Final = 9
TRIES: Final = 5
VALID_SECONDS: Final = 3 * 86400.0
CODES_PER_HOUR: Final = 5  # to one address of an account
CODES_PER_HOUR_OF_ACCOUNT: Final = 20  # so that adding and deleting addresses mails nobody without end

AnyRow = Row[*tuple[Any, ...]]


class WrongCode(Invalid):
    """Not the code that was sent. `tries_left` more are allowed."""

    def __init__(self, address: str, tries_left: int) -> None:
        self.tries_left = tries_left
        left = f"{tries_left} more tries" if tries_left > 1 else "one more try" if tries_left else "no more tries"
        again = "" if tries_left else "; have a new code sent"
        super().__init__(f"this is not the code that was sent to {address}; you have {left}{again}")


class CodeExpired(Invalid):
    """The code was right or wrong, but is too old to be either."""


def start(connection: Connection, vault: Vault, account_id: int, address: str, now: float) -> str:
    """A new code for an address that is not confirmed yet, to be mailed to it; the former one is void.

    Raises NotFound, Invalid (it is confirmed), NotAllowed (too many within an hour).
    """
    lock(connection)
    row = addresses.find(connection, account_id, address)
    if row.verified_at is not None:
        raise Invalid(f"{row.address} is confirmed already")
    _count(connection, row, now)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    connection.execute(delete(tables.verification).where(tables.verification.c.send_as_id == row.id))
    connection.execute(
        insert(tables.verification).values(
            send_as_id=row.id,
            code_digest=_digest(vault, row, code),
            tries_left=TRIES,
            sent_at=now,
            expires_at=now + VALID_SECONDS,
        )
    )
    return code


def confirm(engine: Engine, vault: Vault, account_id: int, address: str, code: str, now: float) -> None:
    """Enter the code: the address can be used from now on.

    In a transaction of its own, since a wrong guess must cost a try although it raises. Raises WrongCode, CodeExpired,
    NotFound (no such address, or no code was sent) and Invalid (it is confirmed).
    """
    with write(engine) as connection:
        lock(connection)
        fault = _enter(connection, vault, account_id, address, code, now)
    if fault:
        raise fault


def _enter(
    connection: Connection, vault: Vault, account_id: int, address: str, code: str, now: float
) -> DirectoryError | None:
    row = addresses.find(connection, account_id, address)
    if row.verified_at is not None:
        return Invalid(f"{row.address} is confirmed already")
    pending = tables.verification.c.send_as_id == row.id
    sent = connection.execute(select(tables.verification).where(pending)).first()
    if sent is None:
        return NotFound(f"no code is waiting for {row.address}; have one sent")
    if sent.expires_at <= now:
        return CodeExpired(f"the code that was sent to {row.address} has expired; have a new one sent")
    if sent.tries_left <= 0:
        return WrongCode(row.address, 0)
    if not hmac.compare_digest(_digest(vault, row, _digits(code)), sent.code_digest):
        connection.execute(update(tables.verification).where(pending).values(tries_left=sent.tries_left - 1))
        return WrongCode(row.address, sent.tries_left - 1)
    touch(connection)
    connection.execute(delete(tables.verification).where(pending))
    connection.execute(update(tables.send_as).where(tables.send_as.c.id == row.id).values(verified_at=now))
    return None


def _count(connection: Connection, row: AnyRow, now: float) -> None:
    """Note that a code is sent, unless that were too many within an hour."""
    columns = tables.code_sent.c
    of_account = columns.account_id == row.account_id
    connection.execute(delete(tables.code_sent).where(of_account, columns.at <= now - 3600))
    sent = connection.execute(select(columns.address, columns.at).where(of_account).order_by(columns.at)).all()
    to_address = [each.at for each in sent if each.address == row.address]
    if len(to_address) >= CODES_PER_HOUR or len(sent) >= CODES_PER_HOUR_OF_ACCOUNT:
        oldest = to_address[0] if len(to_address) >= CODES_PER_HOUR else sent[0].at
        minutes = int((oldest + 3600 - now) // 60) + 1
        raise NotAllowed(f"too many codes were sent within the last hour; try again in {minutes} minutes")
    connection.execute(insert(tables.code_sent).values(account_id=row.account_id, address=row.address, at=now))


def _digest(vault: Vault, row: AnyRow, code: str) -> bytes:
    return vault.digest(code.encode(), f"send-as:{row.id}:{row.address}")


def _digits(code: str) -> str:
    """As people enter it: with spaces or hyphens between the digits."""
    return code.replace(" ", "").replace("-", "").strip()
