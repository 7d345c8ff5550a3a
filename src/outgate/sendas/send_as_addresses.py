"""The From addresses of an account: adding, editing, deleting. What makes one usable is in sendas.verification."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from outgate.directory import accounts
from outgate.directory.change import compared, touch
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.directory.users import check_name
from outgate.frozen import frozen
from outgate.mail.addresses import without_tag
from outgate.model import DOMAIN_PROOF, WHOLE_DOMAIN, SendAs
from outgate.store import tables

MAX_SIGNATURE: Final = 10_000  # characters of HTML, as with Gmail
MAX_ADDRESSES: Final = 99  # of one account, its primary address among them


@frozen
class Holder:
    """Somebody who has an address: the primary address and unit of the account."""

    account_id: int
    account: str
    unit: str


def addresses(connection: Connection, account_id: int) -> tuple[SendAs, ...]:
    """All From addresses of an account, the primary first. Raises NotFound."""
    account = accounts.load(connection, account_id)
    if account is None:
        raise NotFound("there is no such account")
    return tuple(account.send_as.values())


def every(connection: Connection, unit: str = "/") -> list[tuple[str, str, SendAs]]:
    """All addresses of the accounts in a unit and below it: (primary address, unit, address), by account."""
    shared = accounts.load_shared(connection)
    return [
        (account.primary, account.unit, entry)
        for account in accounts.every(connection, shared)
        if unit in ("/", account.unit) or account.unit.startswith(f"{unit}/")
        for entry in account.send_as.values()
    ]


def add(
    connection: Connection,
    account_id: int,
    address: str,
    now: float,
    *,
    display_name: str = "",
    reply_to: str = "",
    treat_as_alias: bool = True,
    granted_by_administrator: bool = False,
) -> SendAs:
    """Add an address; it can be used once its owner has confirmed it (sendas.verification).

    An administrator may grant addresses of the organisation's own domains, which then need no confirmation. An address
    may be confirmed by several accounts. Raises AlreadyExists, Invalid, NotAllowed and NotFound.
    """
    touch(connection)
    address = compared(address)
    if address.startswith(WHOLE_DOMAIN):
        raise NotAllowed("a whole domain is proven by its DNS: outgate domain-proof begin", address=address)
    existing = {entry.address: entry for entry in addresses(connection, account_id)}
    if address in existing:
        raise AlreadyExists("{address} is one of this account's addresses already", address=address)
    if len(existing) >= MAX_ADDRESSES:
        raise NotAllowed("an account has at most {most} addresses; delete one first", most=MAX_ADDRESSES)
    if granted_by_administrator and not is_own_domain(connection, address):
        raise NotAllowed(
            "{address} is outside the organisation's domains: only its owner can prove it, by the code mailed to it",
            address=address,
        )
    connection.execute(
        insert(tables.send_as).values(
            account_id=account_id,
            address=address,
            tag_of=without_tag(address),
            verified_at=now if granted_by_administrator else None,
            proof="granted" if granted_by_administrator else None,
            created_at=now,
            treat_as_alias=treat_as_alias,
            **_checked(address, display_name, reply_to),
        )
    )
    return _entry(connection, account_id, address)


def edit(
    connection: Connection,
    account_id: int,
    address: str,
    *,
    display_name: str | None = None,
    reply_to: str | None = None,
    treat_as_alias: bool | None = None,
    make_default: bool = False,
) -> SendAs:
    """Change what is given and leave the rest. The former default ceases to be it."""
    touch(connection)
    row = find(connection, account_id, address)
    values: dict[str, Any] = _checked(
        row.address,
        row.display_name if display_name is None else display_name,
        row.reply_to if reply_to is None else reply_to,
    )
    if treat_as_alias is not None:
        if row.is_primary and not treat_as_alias:
            raise Invalid("the primary address is always treated as the account's own")
        values["treat_as_alias"] = treat_as_alias
    connection.execute(update(tables.send_as).where(tables.send_as.c.id == row.id).values(values))
    if make_default:
        _make_default(connection, row)
    return _entry(connection, account_id, row.address)


def signatures(connection: Connection, account_id: int) -> dict[str, str]:
    """What is written below messages, by address, as HTML; addresses without one are left out."""
    columns = tables.send_as.c
    rows = connection.execute(
        select(columns.address, columns.signature).where(columns.account_id == account_id, columns.signature != "")
    )
    return {row.address: row.signature for row in rows}


def set_signature(connection: Connection, account_id: int, address: str, html: str) -> None:
    """What is written below messages from this address. Raises Invalid and NotFound."""
    if len(html) > MAX_SIGNATURE:
        raise signature_too_long()
    touch(connection)
    row = find(connection, account_id, address)
    connection.execute(update(tables.send_as).where(tables.send_as.c.id == row.id).values(signature=html))


def signature_too_long() -> Invalid:
    """It is longer than is kept."""
    return Invalid("a signature has at most {most} characters", most=MAX_SIGNATURE)


def remove(connection: Connection, account_id: int, address: str) -> None:
    """Delete an address, its gateway and its confirmation. If it was the default, the primary address becomes it.

    What follows from a grant goes with that alone: it would be there again the next time grants are looked at.
    """
    touch(connection)
    row = find(connection, account_id, address)
    if row.is_primary:
        raise NotAllowed("Cannot delete primary send-as")
    if row.proof == DOMAIN_PROOF:
        raise NotAllowed(
            "{address} was granted by an administrator, and goes only when the grant is taken back: outgate"
            " address-grant remove",
            address=row.address,
        )
    withdraw(connection, [row.id])


def withdraw(connection: Connection, row_ids: Collection[int]) -> None:
    """The same of rows of any accounts, also of what was granted, by as many statements as for one; no more rows than
    fit one statement, and none of a primary address.
    """
    touch(connection)
    columns = tables.send_as.c
    of_default = select(columns.account_id).where(columns.id.in_(row_ids), columns.is_default)
    without = connection.scalars(of_default).all()
    connection.execute(delete(tables.send_as).where(columns.id.in_(row_ids)))
    if without:
        chosen = update(tables.send_as).where(columns.account_id.in_(without), columns.is_primary)
        connection.execute(chosen.values(is_default=True))


def transfer(connection: Connection, from_id: int, to_id: int, address: str, now: float) -> SendAs:
    """Take an address from one account and give it to another.

    An address of the organisation's own domains can be used there at once. One outside must be proven anew, and comes
    without gateway: its credential was the former user's own. Raises as `remove` and `add`.
    """
    row = find(connection, from_id, address)
    if from_id == to_id:
        raise Invalid("{address} is this user's already; name another one to transfer it to", address=row.address)
    remove(connection, from_id, address)
    own = is_own_domain(connection, row.address)
    return add(
        connection,
        to_id,
        row.address,
        now,
        display_name=row.display_name,
        reply_to=row.reply_to,
        treat_as_alias=row.treat_as_alias,
        granted_by_administrator=own,
    )


def find(connection: Connection, account_id: int, address: str) -> Row[*tuple[Any, ...]]:
    """The address's row; raises NotFound and Invalid."""
    address = compared(address)
    columns = tables.send_as.c
    row = connection.execute(
        select(tables.send_as).where(columns.account_id == account_id, columns.address == address)
    ).first()
    if row is None:
        raise NotFound("{address} is not an address of this account", address=address)
    return row


def is_own_domain(connection: Connection, address: str) -> bool:
    """Whether an address in compared form is in one of the organisation's domains."""
    own = select(func.count()).where(tables.domain.c.name == address.rpartition("@")[2])
    return bool(connection.scalar(own))


def holders(connection: Connection, address: str) -> tuple[Holder, ...]:
    """All accounts that can send as an address in compared form: it is their primary one, or was proven or granted."""
    account = tables.account.c
    rows = connection.execute(
        select(account.id, account.primary_address, tables.unit.c.path)
        .join_from(tables.send_as, tables.account, tables.send_as.c.account_id == account.id)
        .join(tables.unit, tables.unit.c.id == account.unit_id)
        .where(tables.send_as.c.address == address, tables.send_as.c.verified_at.is_not(None))
        .order_by(account.id)
    )
    return tuple(Holder(*row) for row in rows)


def _make_default(connection: Connection, row: Row[*tuple[Any, ...]]) -> None:
    if row.address.startswith(WHOLE_DOMAIN):
        raise NotAllowed("{address} stands for a whole domain, so it can't be the default", address=row.address)
    if row.verified_at is None:
        raise NotAllowed("{address} is not confirmed yet, so it can't be the default", address=row.address)
    columns = tables.send_as.c
    connection.execute(
        update(tables.send_as).where(columns.account_id == row.account_id).values(is_default=columns.id == row.id)
    )


def _checked(address: str, display_name: str, reply_to: str) -> dict[str, str]:
    check_name(display_name, address)
    return {"display_name": display_name, "reply_to": compared(reply_to) if reply_to else ""}


def _entry(connection: Connection, account_id: int, address: str) -> SendAs:
    return next(entry for entry in addresses(connection, account_id) if entry.address == address)
