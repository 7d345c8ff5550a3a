"""Second factors of log-ins on the pages: codes by time (TOTP, RFC 6238) of a secret that an app keeps, and recovery
codes for the day on which the app is lost. Each code opens once.

The secret is sealed; of recovery codes only SHA-256 digests are kept, which is enough for 80 random bits. Who logs in
by a provider or with a passkey is not asked. The functions work in the caller's transaction. Knows no page.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import field
from typing import Final

import pyotp
from sqlalchemy import Connection, delete, func, insert, select, update

from outgate.directory.change import touch
from outgate.directory.errors import Invalid, NotFound
from outgate.frozen import frozen
from outgate.store.tables import recovery_code, second_factor
from outgate.store.vault import Vault
from outgate.store.vault import second_factor as sealed_for

ISSUER: Final = "Outgate"  # as apps show it beside the address
STEP: Final = 30  # seconds that a code is shown (RFC 6238 5.2)
SKEW: Final = 1  # steps that the app's clock may be off, either way
RECOVERY_CODES: Final = 10

_CODE: Final = re.compile(r"\d{6}")
_RECOVERY: Final = re.compile("[A-Z2-7]{16}")


@frozen
class SecondFactor:
    """An account's, without its secret. `waits` until a first code is entered: it does not count before."""

    waits: bool
    recovery_codes: int


@frozen
class Enrolment:
    """What an app is told once. `uri` is what its QR code says."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def find(connection: Connection, account_id: int) -> SecondFactor | None:
    """What there is of an account; None if nothing was begun."""
    row = connection.execute(
        select(second_factor.c.confirmed_at).where(second_factor.c.account_id == account_id)
    ).first()
    if row is None:
        return None
    left = select(func.count()).select_from(recovery_code).where(recovery_code.c.account_id == account_id)
    return SecondFactor(row.confirmed_at is None, connection.scalar(left) or 0)


def is_on(connection: Connection, account_id: int) -> bool:
    """Whether log-ins of this account need a code."""
    found = find(connection, account_id)
    return found is not None and not found.waits


def begin(connection: Connection, vault: Vault, account_id: int) -> None:
    """Make a secret, in place of one that was never confirmed. Raises Invalid if the second factor is on."""
    touch(connection)
    if is_on(connection, account_id):
        raise Invalid("the second factor is on already; turn it off first")
    remove(connection, account_id)
    sealed = vault.seal(pyotp.random_base32().encode(), sealed_for(account_id))
    connection.execute(insert(second_factor).values(account_id=account_id, sealed_secret=sealed, last_step=-1))


def enrolment(connection: Connection, vault: Vault, account_id: int, address: str) -> Enrolment:
    """What to tell the app, until it is confirmed; never afterwards. Raises NotFound."""
    columns = second_factor.c
    waiting = select(columns.sealed_secret).where(columns.account_id == account_id, columns.confirmed_at.is_(None))
    sealed = connection.scalar(waiting)
    if sealed is None:
        raise NotFound("there is no second factor to set up; begin anew")
    secret = vault.open(sealed, sealed_for(account_id)).decode()
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=address, issuer_name=ISSUER))


def confirm(connection: Connection, vault: Vault, account_id: int, code: str, now: float) -> tuple[str, ...]:
    """The app shows the right code: from now on log-ins need one. Returns the recovery codes. Raises Invalid."""
    touch(connection)
    found = find(connection, account_id)
    if found is None or not found.waits:
        raise NotFound("there is no second factor to set up; begin anew")
    if not _take_code(connection, vault, account_id, code, now):
        raise Invalid("this is not the code that the app shows now; wait for the next one")
    connection.execute(update(second_factor).where(second_factor.c.account_id == account_id).values(confirmed_at=now))
    return new_recovery_codes(connection, account_id)


def new_recovery_codes(connection: Connection, account_id: int) -> tuple[str, ...]:
    """As many as there should be, in place of those there are: four groups of four letters and digits each."""
    connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))
    made = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES)]
    rows = [{"account_id": account_id, "digest": _digest(account_id, code)} for code in made]
    connection.execute(insert(recovery_code), rows)
    return tuple(" ".join(code[start : start + 4] for start in range(0, 16, 4)) for code in made)


def take(connection: Connection, vault: Vault, account_id: int, code: str, now: float) -> bool:
    """Whether this opens, be it a code of the app or a recovery code; it never does again. No if none is on."""
    if not is_on(connection, account_id):
        return False
    return _take_code(connection, vault, account_id, code, now) or _take_recovery(connection, account_id, code)


def remove(connection: Connection, account_id: int) -> bool:
    """Log-ins need no code any more; whether they did."""
    touch(connection)
    connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))
    return connection.execute(delete(second_factor).where(second_factor.c.account_id == account_id)).rowcount > 0


def _take_code(connection: Connection, vault: Vault, account_id: int, code: str, now: float) -> bool:
    code = "".join(code.split())
    if not (code.isascii() and _CODE.fullmatch(code)):
        return False
    columns = second_factor.c
    row = connection.execute(
        select(columns.sealed_secret, columns.last_step).where(columns.account_id == account_id).with_for_update()
    ).one()
    totp = pyotp.TOTP(vault.open(row.sealed_secret, sealed_for(account_id)).decode())
    step = int(now) // STEP
    for one in range(max(step - SKEW, row.last_step + 1), step + SKEW + 1):
        if pyotp.utils.strings_equal(totp.generate_otp(one), code):
            connection.execute(update(second_factor).where(columns.account_id == account_id).values(last_step=one))
            return True
    return False


def _take_recovery(connection: Connection, account_id: int, code: str) -> bool:
    code = "".join(code.split()).upper()
    if not _RECOVERY.fullmatch(code):
        return False
    columns = recovery_code.c
    mine = (columns.account_id == account_id, columns.digest == _digest(account_id, code))
    return connection.execute(delete(recovery_code).where(*mine)).rowcount > 0


def _digest(account_id: int, code: str) -> bytes:
    return hashlib.sha256(f"{account_id}:{code}".encode()).digest()
