"""Finds From addresses of the whole organisation, page by page: SQLite looks at indexes alone, whatever is asked for;
PostgreSQL at that of the addresses, but may begin with gateways or units where those are few.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, or_, select, tuple_, union

from outgate.directory import accounts, units
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical
from outgate.model import Account, Organisation, SendAs
from outgate.store import tables
from outgate.store.containing import Containing


class AddressKind(StrEnum):
    """Which addresses: all outside the organisation's domains; of these those with a server of their own, those without
    one, and those that are not confirmed; or all there are.
    """

    OUTSIDE = "outside"
    GATEWAY = "gateway"
    WITHOUT = "without"
    PENDING = "pending"
    ALL = "all"


@frozen
class AddressFilter:
    """What is empty is not asked for. `text` is the address or its user's, else a part of one of them; `unit` has those
    below it, too; `after` are address and account id of the last one that was shown.
    """

    kind: AddressKind = AddressKind.OUTSIDE
    text: str = ""
    unit: str = "/"
    after: tuple[str, int] | None = None
    limit: int = 50


@frozen
class FoundAddress:
    """An address with all that its account is."""

    account: Account
    entry: SendAs


def search(
    connection: Connection, wanted: AddressFilter, gateways: Collection[int] | None = None
) -> tuple[Organisation, list[FoundAddress]]:
    """The organisation, and addresses in their order; with `gateways` only those that have one of these (row ids)."""
    shared = accounts.load_shared(connection)
    columns = tables.send_as.c
    query = (
        select(columns.address, columns.account_id)
        .where(*_conditions(wanted, shared.organisation, whole=_whole(connection, wanted.text)))
        .order_by(columns.address, columns.account_id)
        .limit(wanted.limit)
    )
    if gateways is not None:
        of_these = select(tables.gateway.c.send_as_id).where(tables.gateway.c.id.in_(gateways))
        query = query.where(columns.id.in_(of_these))
    rows = connection.execute(query).all()
    known = accounts.load_some(connection, {row.account_id for row in rows}, shared)
    found = [(known[row.account_id], row.address) for row in rows]
    return shared.organisation, [FoundAddress(one, one.send_as[address]) for one, address in found]


def without_password(connection: Connection, limit: int) -> list[int]:
    """Gateways (row ids) whose password was erased: mail for them waits until it is entered again."""
    columns = tables.gateway.c
    erased = (columns.username != "", columns.sealed_password.is_(None))
    return list(connection.scalars(select(columns.id).where(*erased).order_by(columns.id).limit(limit)))


def _whole(connection: Connection, text: str) -> Select[tuple[int]] | None:
    """The addresses (row ids) that are this text, or whose users are; None if there are none. Who types one whole means
    it, and no index tells where it is within others.
    """
    try:
        address = canonical(text.strip())
    except AddressError:
        return None
    users = select(tables.account.c.id).where(tables.account.c.primary_address == address)
    columns = tables.send_as.c
    these = union(
        select(columns.id).where(columns.address == address), select(columns.id).where(columns.account_id.in_(users))
    ).subquery()
    found = select(these.c.id)
    return found if connection.execute(found.limit(1)).first() else None


def _conditions(
    wanted: AddressFilter, organisation: Organisation, whole: Select[tuple[int]] | None
) -> Iterator[ColumnElement[bool]]:
    """The cheapest first: SQLite looks in this order."""
    columns, account = tables.send_as.c, tables.account.c
    if wanted.after:
        yield tuple_(columns.address, columns.account_id) > wanted.after
    if wanted.kind is not AddressKind.ALL:
        yield ~columns.is_primary
    if wanted.kind is AddressKind.PENDING:
        yield columns.verified_at.is_(None)
    if wanted.unit != "/":
        users = select(account.id).where(account.unit_id.in_(units.ids_below(wanted.unit)))
        yield (columns.account_id + 0).in_(users)  # not by that column's index: what it finds would have to be sorted
    has_gateway = exists().where(tables.gateway.c.send_as_id == columns.id)
    if wanted.kind is AddressKind.GATEWAY:
        yield has_gateway
    if wanted.kind is AddressKind.WITHOUT:
        yield ~has_gateway
    if whole is not None:
        yield columns.id.in_(whole)
    elif text := wanted.text.strip():
        users = select(account.id).where(Containing(account.primary_address, text))
        yield or_(Containing(columns.address, text), columns.account_id.in_(users))
    if wanted.kind is not AddressKind.ALL:
        yield and_(*(~columns.address.endswith(f"@{one}", autoescape=True) for one in sorted(organisation.domains)))
