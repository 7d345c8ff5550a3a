"""Proof that an address is the user's: a nine-digit code and a signed link are mailed to it; either comes back.

Only keyed digests of them are kept. Both are good once, for three days; of the code there are five tries.
"""

import base64
import binascii
import hmac
import secrets
import struct
from dataclasses import field
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from outgate.directory.change import lock, touch
from outgate.directory.errors import DirectoryError, Invalid, NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.model import WHOLE_DOMAIN
from outgate.sendas import send_as_addresses
from outgate.store import rates, tables
from outgate.store.engine import write
from outgate.store.vault import Vault

DIGITS: Final = 9
TRIES: Final = 5
VALID_SECONDS: Final = 3 * 86400.0
CODES_TO_ADDRESS: Final = "5/1hour"  # to one address of an account
CODES_OF_ACCOUNT: Final = "20/1hour"  # so that adding and deleting addresses mails nobody without end

AnyRow = Row[*tuple[Any, ...]]


# A link's token: row of the address, when it expires, a nonce that is kept as a digest, and the vault's signature.
_TOKEN: Final = struct.Struct(">qd16s")
_SIGNATURE_BYTES: Final = 16


@frozen
class Challenge:
    """What is mailed to the address, and never shown elsewhere."""

    code: str = field(repr=False)
    token: str = field(repr=False)


WRONG_BUT_MORE: Final = "this is not the code that was sent to {address}; you have {tries_left} more tries"
WRONG: Final = {
    1: "this is not the code that was sent to {address}; you have one more try",
    0: "this is not the code that was sent to {address}; you have no more tries; have a new code sent",
}


class WrongCode(Invalid):
    """Not the code that was sent. `tries_left` more are allowed."""

    def __init__(self, address: str, tries_left: int) -> None:
        self.tries_left = tries_left
        super().__init__(WRONG.get(tries_left, WRONG_BUT_MORE), address=address, tries_left=tries_left)


class CodeExpired(Invalid):
    """The code was right or wrong, but is too old to be either."""


class BadLink(Invalid):
    """The link was never ours, or was cut short on its way."""

    def __init__(self) -> None:
        super().__init__("this link is not valid; check that you have opened it whole, or have a new one sent")


class LinkUsed(Invalid):
    """The link was ours, but is spent: used, too old, or followed by a newer one."""

    def __init__(self, account_id: int | None, address: str) -> None:
        self.account_id, self.address = account_id, address
        super().__init__("this link was used already or has expired; have a new one sent if the address still waits")


def start(connection: Connection, vault: Vault, account_id: int, address: str, now: float) -> Challenge:
    """A new code and link for an address that is not confirmed yet, to be mailed to it; the former ones are void.

    Raises NotFound, Invalid (it is confirmed), NotAllowed (too many within an hour).
    """
    lock(connection)
    row = send_as_addresses.find(connection, account_id, address)
    if row.verified_at is not None:
        raise Invalid("{address} is confirmed already", address=row.address)
    if row.address.startswith(WHOLE_DOMAIN):
        raise Invalid("{address} stands for a whole domain, which only the DNS proves", address=row.address)
    _count(connection, row, now)
    code, nonce = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}", secrets.token_bytes(16)
    expires_at = now + VALID_SECONDS
    connection.execute(delete(tables.verification).where(tables.verification.c.send_as_id == row.id))
    connection.execute(
        insert(tables.verification).values(
            send_as_id=row.id,
            code_digest=_digest(vault, row, code),
            link_digest=_digest(vault, row, nonce.hex()),
            tries_left=TRIES,
            sent_at=now,
            expires_at=expires_at,
        )
    )
    return Challenge(code, _token(vault, row.id, expires_at, nonce))


def confirm(engine: Engine, vault: Vault, account_id: int, address: str, code: str, now: float) -> None:
    """Enter the code: the address can be used from now on.

    In a transaction of its own, since a wrong guess must cost a try although it raises. Raises WrongCode, CodeExpired,
    NotFound (no such address, or no code was sent) and Invalid (it is confirmed).
    """
    with write(engine) as connection:
        lock(connection)
        fault = enter(connection, vault, account_id, address, code, now)
    if fault:
        raise fault


def enter(
    connection: Connection, vault: Vault, account_id: int, address: str, code: str, now: float
) -> DirectoryError | None:
    """As `confirm`, in the caller's transaction, which must be committed: a wrong code has cost a try."""
    row = send_as_addresses.find(connection, account_id, address)
    if row.verified_at is not None:
        return Invalid("{address} is confirmed already", address=row.address)
    pending = tables.verification.c.send_as_id == row.id
    sent = connection.execute(select(tables.verification).where(pending)).first()
    if sent is None:
        return NotFound("no code is waiting for {address}; have one sent", address=row.address)
    if sent.expires_at <= now:
        return CodeExpired("the code that was sent to {address} has expired; have a new one sent", address=row.address)
    if sent.tries_left <= 0:
        return WrongCode(row.address, 0)
    if not hmac.compare_digest(_digest(vault, row, _digits(code)), sent.code_digest):
        connection.execute(update(tables.verification).where(pending).values(tries_left=sent.tries_left - 1))
        return WrongCode(row.address, sent.tries_left - 1)
    _verified(connection, row.id, "code", now)
    return None


def follow(connection: Connection, vault: Vault, token: str, now: float) -> tuple[int, str]:
    """The link was opened: its address can be used from now on. Returns account id and address.

    Raises BadLink and LinkUsed.
    """
    lock(connection)
    row = _of_link(connection, vault, token, now)
    _verified(connection, row.id, "link", now)
    return row.account_id, row.address


def look(connection: Connection, vault: Vault, token: str, now: float) -> tuple[int, str]:
    """As `follow`, but changes nothing: whose address the link would confirm. Raises BadLink and LinkUsed."""
    row = _of_link(connection, vault, token, now)
    return row.account_id, row.address


def _of_link(connection: Connection, vault: Vault, token: str, now: float) -> AnyRow:
    """The row of the address that a link confirms."""
    send_as_id, expires_at, nonce = _opened(vault, token)
    columns = tables.send_as.c
    row = connection.execute(select(tables.send_as).where(columns.id == send_as_id)).first()
    if row is not None and row.created_at > expires_at - VALID_SECONDS:
        row = None  # SQLite gives the number of a deleted row to a new one, which may be somebody else's
    waiting = tables.verification.c
    sent = connection.execute(select(tables.verification).where(waiting.send_as_id == send_as_id)).first()
    if row is None or sent is None or expires_at <= now or row.verified_at is not None:
        raise LinkUsed(row.account_id if row else None, row.address if row else "")
    if not hmac.compare_digest(_digest(vault, row, nonce.hex()), sent.link_digest or b""):
        raise LinkUsed(row.account_id, row.address)
    return row


def _verified(connection: Connection, send_as_id: int, proof: str, now: float) -> None:
    touch(connection)
    connection.execute(delete(tables.verification).where(tables.verification.c.send_as_id == send_as_id))
    columns = tables.send_as.c
    values = {"verified_at": now, "proof": proof}
    connection.execute(update(tables.send_as).where(columns.id == send_as_id).values(values))


def _token(vault: Vault, send_as_id: int, expires_at: float, nonce: bytes) -> str:
    packed = _TOKEN.pack(send_as_id, expires_at, nonce)
    return base64.urlsafe_b64encode(packed + _signature(vault, packed)).decode().rstrip("=")


def _opened(vault: Vault, token: str) -> tuple[int, float, bytes]:
    try:
        data = base64.b64decode(token.encode("ascii") + b"==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadLink from None
    packed, signature = data[: _TOKEN.size], data[_TOKEN.size :]
    if len(packed) != _TOKEN.size or not hmac.compare_digest(_signature(vault, packed), signature):
        raise BadLink
    send_as_id, expires_at, nonce = _TOKEN.unpack(packed)
    return send_as_id, expires_at, nonce


def _signature(vault: Vault, packed: bytes) -> bytes:
    return vault.digest(packed, "confirmation-link")[:_SIGNATURE_BYTES]


def _count(connection: Connection, row: AnyRow, now: float) -> None:
    """Note that a code is sent, unless that were too many within an hour."""
    account = str(row.account_id)
    limits = (
        (CODES_OF_ACCOUNT, ("confirmation-code", "account", account)),
        (CODES_TO_ADDRESS, ("confirmation-code", "address", account, row.address)),
    )
    if left := max(rates.seconds_left(connection, rate, key, now) for rate, key in limits):
        minutes = int(left // 60) + 1
        raise NotAllowed(
            "too many codes were sent within the last hour; try again in {minutes} minutes", minutes=minutes
        )
    for rate, key in limits:
        rates.hit(connection, rate, key, now)


def _digest(vault: Vault, row: AnyRow, code: str) -> bytes:
    return vault.digest(code.encode(), f"send-as:{row.id}:{row.address}")


def _digits(code: str) -> str:
    """As people enter it: with spaces or hyphens between the digits."""
    return code.replace(" ", "").replace("-", "").strip()
