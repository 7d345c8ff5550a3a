"""Whole domains that are proven by a DNS record, and who may send as addresses in them. Knows no DNS.

A grant is turned into rows of `send_as` (`settle`): so every address has its gateway, its name and its health as
others have. `*@partner.example` is the entry that covers all addresses of a domain.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, insert, or_, select, tuple_, update

from outgate.directory import accounts, policies, units, user_groups, users
from outgate.directory.accounts import AnyRow
from outgate.directory.change import compared, compared_domain, lock, touch
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.mail.addresses import without_tag
from outgate.model import DOMAIN_PROOF, WHOLE_DOMAIN, Gateway
from outgate.sendas import send_as_addresses
from outgate.store import tables
from outgate.store.containing import Containing

CHECK_EVERY: Final = 86400.0  # seconds
SUSPENDED_AFTER: Final = 7 * 86400.0  # seconds without the record

_AT_ONCE: Final = 1000  # rows of one statement
_SINGLY: Final = 20  # accounts: more of them are settled with all others

_LABEL: Final = "_outgate"
_KEY: Final = "outgate-domain-proof="

_domain = tables.proven_domain.c
_grant = tables.address_grant.c

_T = TypeVar("_T")

# Of send_as: id, account, address, proof, verified at, grant.
_Row = Row[int, int, str, str | None, float | None, int | None]
_Addresses = Callable[[ColumnElement[str]], ColumnElement[bool]]  # of a column with addresses, which of them are meant


@frozen
class ProvenDomain:
    """A domain with what its owner publishes: `record_value` as TXT record at `record_name`. Times in seconds since the
    epoch; `missing_since` is when the DNS said first that the record is not there any more.
    """

    name: str
    token: str
    proven_at: float | None
    checked_at: float | None
    missing_since: float | None

    @property
    def record_name(self) -> str:
        """Where the record belongs."""
        return f"{_LABEL}.{self.name}"

    @property
    def record_value(self) -> str:
        """What it says."""
        return f"{_KEY}{self.token}"

    @property
    def suspended_from(self) -> float | None:
        """From when on its addresses can't be used, if the record stays away."""
        return None if self.missing_since is None else self.missing_since + SUSPENDED_AFTER

    def is_usable(self, now: float) -> bool:
        """Whether its addresses may be sent as."""
        return self.proven_at is not None and (self.suspended_from is None or now < self.suspended_from)

    def is_back(self, before: "ProvenDomain") -> bool:
        """Whether its record is there again: what waits for that can leave."""
        return before.missing_since is not None and self.missing_since is None


@frozen
class AddressGrant:
    """Who may use an address: a user, a unit with those below it, or a group, each by its name; and the gateway that
    all of them have in common, if there is one (sendas.common_gateways).
    """

    address: str
    user: str | None
    unit: str | None
    group: str | None = None
    gateway: Gateway | None = None

    @property
    def to(self) -> str:
        """Whom it is granted to, for people."""
        return self.user or self.unit or self.group or ""


@frozen
class GrantFilter:
    """What is empty is not asked for. `text` is part of the address, or of the name of user, unit or group; `after` are
    address and number of the last grant that was shown.
    """

    text: str = ""
    domain: str = ""
    after: tuple[str, int] | None = None
    limit: int = 50


@frozen
class FoundGrant:
    """A grant with its number, behind which the next page begins."""

    number: int
    grant: AddressGrant


@frozen
class _NearestGrant:
    """What an account has by the nearest of its grants of an address."""

    grant_id: int
    verified_at: float | None


def domains(connection: Connection) -> tuple[ProvenDomain, ...]:
    """All of them by name."""
    rows = connection.execute(select(tables.proven_domain).order_by(_domain.name))
    return tuple(ProvenDomain(row.name, row.token, row.proven_at, row.checked_at, row.missing_since) for row in rows)


def find(connection: Connection, name: str) -> ProvenDomain:
    """Raises NotFound and Invalid."""
    name = compared_domain(name)
    for domain in domains(connection):
        if domain.name == name:
            return domain
    raise NotFound("{domain} is not being proven; begin with: outgate domain-proof begin {domain}", domain=name)


def begin(connection: Connection, name: str, now: float) -> ProvenDomain:
    """The record that is to be published; the same again for a domain that was begun. Raises Invalid, NotAllowed."""
    name = compared_domain(name)
    touch(connection)
    if send_as_addresses.is_own_domain(connection, f"@{name}"):
        raise NotAllowed("{domain} is one of the organisation's own domains, which need no proof", domain=name)
    if "." not in name:
        raise Invalid("{domain} is a whole top-level domain", domain=name)
    if connection.scalar(select(_domain.id).where(_domain.name == name)) is None:
        connection.execute(
            insert(tables.proven_domain).values(name=name, token=secrets.token_urlsafe(24), created_at=now)
        )
    return find(connection, name)


def settle_check(connection: Connection, name: str, is_published: bool, now: float) -> ProvenDomain:
    """What follows from the DNS's answer; without an answer nothing does. Raises NotFound.

    A record that is gone suspends the domain's addresses after SUSPENDED_AFTER seconds; when it is back, so are they.
    """
    lock(connection)
    domain = find(connection, name)
    values: dict[str, float | None] = {"checked_at": now}
    if is_published:
        values |= {"proven_at": domain.proven_at or now, "missing_since": None}
    elif domain.proven_at is not None:
        values["missing_since"] = domain.missing_since or now
    connection.execute(update(tables.proven_domain).where(_domain.name == domain.name).values(values))
    return settle_lapse(connection, domain.name, now)


def settle_lapse(connection: Connection, name: str, now: float) -> ProvenDomain:
    """Suspend a domain's addresses if it is time, or have them back. Raises NotFound."""
    lock(connection)
    domain = find(connection, name)
    if lags(connection, domain, now):
        _settle(connection, _in_domain(domain.name), now)
    return domain


def lags(connection: Connection, domain: ProvenDomain, now: float) -> bool:
    """Whether some of its addresses are not yet what they must be at this time: usable, or not."""
    columns = tables.send_as.c
    granted = select(_grant.address).where(_in_domain(domain.name)(_grant.address))
    is_usable = domain.name in _usable(connection, now)
    other = columns.verified_at.is_(None) if is_usable else columns.verified_at.is_not(None)
    found = exists().where(columns.address.in_(granted), columns.proof == DOMAIN_PROOF, other)
    return bool(connection.scalar(select(found)))


def remove(connection: Connection, name: str, now: float) -> ProvenDomain:
    """Forget a domain with all that was granted in it. Raises NotFound."""
    touch(connection)  # copies have the gateways of its grants
    domain = find(connection, name)
    connection.execute(delete(tables.proven_domain).where(_domain.name == domain.name))
    connection.execute(delete(tables.address_grant).where(_in_domain(domain.name)(_grant.address)))
    _settle(connection, _in_domain(domain.name), now)
    return domain


# --- grants ----------------------------------------------------------------------------------------------------------


def grants(connection: Connection) -> tuple[AddressGrant, ...]:
    """All of them by address, in the order in which they were given."""
    rows = connection.execute(_GRANT_ROWS.order_by(_grant.address, _grant.id))
    return tuple(_made(row) for row in rows)


def search_grants(connection: Connection, wanted: GrantFilter) -> tuple[FoundGrant, ...]:
    """Some of them, page by page, in the same order."""
    query = _GRANT_ROWS.order_by(_grant.address, _grant.id).limit(wanted.limit)
    if wanted.after:
        query = query.where(tuple_(_grant.address, _grant.id) > wanted.after)
    if wanted.domain:
        query = query.where(_in_domain(wanted.domain)(_grant.address))
    if text := wanted.text.strip():
        columns = (_grant.address, tables.account.c.primary_address, tables.unit.c.path, tables.user_group.c.name)
        query = query.where(or_(*(Containing(column, text) for column in columns)))
    return tuple(FoundGrant(row.id, _made(row)) for row in connection.execute(query))


def find_grant(connection: Connection, wanted: AddressGrant) -> tuple[int, AddressGrant]:
    """The number of a grant's row, and the grant. Raises Invalid and NotFound."""
    wanted = _compared(connection, wanted)
    row = connection.execute(_GRANT_ROWS.where(*_this(connection, wanted))).first()
    if row is None:
        raise NotFound("{address} is not granted there", address=wanted.address)
    return row.id, _made(row)


def grant(connection: Connection, wanted: AddressGrant, now: float) -> AddressGrant:
    """Let a user, all of a unit or all of a group send as an address without a proof of theirs. Raises AlreadyExists,
    Invalid, NotAllowed and NotFound.
    """
    touch(connection)
    wanted = _compared(connection, wanted)
    domain = wanted.address.rpartition("@")[2]
    if send_as_addresses.is_own_domain(connection, wanted.address):
        if wanted.address.startswith(WHOLE_DOMAIN):
            raise NotAllowed("{domain} is the organisation's own: grant single addresses of it", domain=domain)
    elif not find(connection, domain).is_usable(now):
        raise NotAllowed(
            "{domain} is not proven: publish its record, then: outgate domain-proof check {domain}", domain=domain
        )
    if connection.scalar(select(_grant.id).where(*_this(connection, wanted))) is not None:
        raise AlreadyExists("{address} is granted there already", address=wanted.address)
    connection.execute(insert(tables.address_grant).values(created_at=now, **_columns(connection, wanted)))
    _settle(connection, lambda address: address == wanted.address, now)
    return wanted


def revoke(connection: Connection, wanted: AddressGrant, now: float) -> AddressGrant:
    """Undo `grant`; its common gateway goes with it. Raises NotFound."""
    touch(connection)
    grant_id, found = find_grant(connection, wanted)
    connection.execute(delete(tables.address_grant).where(_grant.id == grant_id))
    _settle(connection, lambda address: address == found.address, now)
    return found


def settle(connection: Connection, now: float) -> None:
    """Make the entries of all accounts what the grants say. What somebody has proven by themselves is left as it is."""
    _settle(connection, lambda address: address.is_not(None), now)


def settle_address(connection: Connection, address: str, now: float) -> None:
    """The same for one address. Who had proven it by themselves before the nearest grant was kept learns of that here,
    too.
    """
    _settle(connection, lambda column: column == address, now)


def _settle(connection: Connection, meant: _Addresses, now: float) -> None:
    """The same for those addresses that are meant."""
    lock(connection)
    usable, columns = _usable(connection, now), tables.send_as.c
    rights: dict[str, dict[int, _NearestGrant]] = {}
    for row in connection.execute(_GRANT_ROWS.where(meant(_grant.address)).order_by(*_FARTHEST_FIRST)).all():
        right = _NearestGrant(row.id, now if row.address.rpartition("@")[2] in usable else None)
        rights.setdefault(row.address, {}).update(dict.fromkeys(_accounts(connection, _made(row)), right))
    given = _rows(connection, _BY_GRANT, meant(columns.address))
    _take(connection, [row for row in given if row.account_id not in rights.get(row.address, ())])
    for address, by_account in rights.items():
        rows = _rows(connection, columns.address == address)
        _give(connection, {(one, address): right for one, right in by_account.items()}, rows, now)


def settle_account(connection: Connection, account_id: int, now: float) -> None:
    """The same for one account, whose unit is a new one, or one of whose groups."""
    lock(connection)
    granted = _granted(connection, account_id)
    rows = _rows(connection, tables.send_as.c.account_id == account_id)
    given = [row for row in rows if row.proof == DOMAIN_PROOF or row.grant_id is not None]
    _take(connection, [row for row in given if row.address not in granted])
    if granted:
        usable = _usable(connection, now)
        wanted = {
            (account_id, one): _NearestGrant(grant_id, now if one.rpartition("@")[2] in usable else None)
            for one, grant_id in sorted(granted.items())
        }
        _give(connection, wanted, rows, now)


def settle_members(connection: Connection, group_id: int, account_ids: Collection[int], now: float) -> None:
    """The same for users who came into a group or left it."""
    granted = connection.scalars(select(_grant.address).where(_grant.group_id == group_id)).all()
    if not granted:
        return
    if len(account_ids) > _SINGLY:
        _settle(connection, lambda address: address.in_(granted), now)
        return
    for one in sorted(account_ids):
        settle_account(connection, one, now)


def _rows(connection: Connection, *which: ColumnElement[bool]) -> Sequence[_Row]:
    columns = tables.send_as.c
    read = (columns.id, columns.account_id, columns.address, columns.proof, columns.verified_at, columns.grant_id)
    return connection.execute(select(*read).where(*which)).all()


def _usable(connection: Connection, now: float) -> set[str]:
    """The domains in which what is granted may be sent as."""
    own = connection.scalars(select(tables.domain.c.name))
    return {one.name for one in domains(connection) if one.is_usable(now)}.union(own)


def _take(connection: Connection, rows: Iterable[_Row]) -> None:
    """Entries go that follow from grants which are no more; what was proven by a code stays without them."""
    gone: list[int] = []
    kept: list[int] = []
    for row in rows:
        (gone if row.proof == DOMAIN_PROOF else kept).append(row.id)
    for ids in _steps(gone):
        send_as_addresses.withdraw(connection, ids)
    if kept:
        touch(connection)
    for ids in _steps(kept):
        connection.execute(update(tables.send_as).where(tables.send_as.c.id.in_(ids)).values(grant_id=None))


def _give(
    connection: Connection, wanted: Mapping[tuple[int, str], _NearestGrant], rows: Iterable[_Row], now: float
) -> None:
    """Have entries, by account and address, as these rights say. `rows` are those there are."""
    had = {(row.account_id, row.address): row for row in rows}
    new = [
        {"account_id": account, "address": address, "tag_of": without_tag(address), "created_at": now}
        | {"verified_at": right.verified_at, "proof": DOMAIN_PROOF, "grant_id": right.grant_id}
        for (account, address), right in sorted(wanted.items(), key=lambda item: item[0])
        if (account, address) not in had
    ]
    changed: dict[tuple[_NearestGrant, bool], list[int]] = {}
    for key, right in wanted.items():
        if (row := had.get(key)) and (_differs(row, right) or row.grant_id != right.grant_id):
            changed.setdefault((right, _differs(row, right)), []).append(row.id)
    if new or changed:
        touch(connection)
    for step in _steps(new):
        connection.execute(insert(tables.send_as), step)
    for (right, is_by_grant), ids in changed.items():
        proof = {"verified_at": right.verified_at, "proof": DOMAIN_PROOF} if is_by_grant else {}
        change = update(tables.send_as).values(grant_id=right.grant_id, **proof)
        for some in _steps(ids):
            connection.execute(change.where(tables.send_as.c.id.in_(some)))


def _steps(all_of_them: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """As many at a time as fit one statement."""
    return (all_of_them[start : start + _AT_ONCE] for start in range(0, len(all_of_them), _AT_ONCE))


def _differs(row: _Row, right: _NearestGrant) -> bool:
    """Whether the entry must be made the grant's: it waits for a proof, or the domain's is there, or not, unlike it."""
    is_pending = row.proof is None and row.verified_at is None
    return is_pending or (row.proof == DOMAIN_PROOF and (row.verified_at is None) != (right.verified_at is None))


def _accounts(connection: Connection, given: AddressGrant) -> Iterable[int]:
    account, unit = tables.account.c, tables.unit.c
    where: ColumnElement[bool]
    if given.group is not None:
        group = select(tables.user_group.c.id).where(tables.user_group.c.name == given.group).scalar_subquery()
        of_it = select(tables.group_member.c.account_id).where(tables.group_member.c.group_id == group)
        where = account.id.in_(of_it)
    elif given.unit is None:
        where = account.primary_address == given.user
    elif given.unit == "/":
        where = account.id.is_not(None)
    else:
        where = or_(unit.path == given.unit, unit.path.startswith(f"{given.unit}/", autoescape=True))
    return connection.scalars(select(account.id).join_from(tables.account, tables.unit).where(where)).all()


def _granted(connection: Connection, account_id: int) -> dict[str, int]:
    """What an account is granted, itself, by a group or by a unit that it is in or below; by the nearest."""
    of_account = tables.account.c.id == account_id
    unit = select(tables.unit.c.path).join_from(tables.account, tables.unit).where(of_account)
    above = units.ids_of(policies.up_to_root(connection.execute(unit).scalar_one()))
    member = tables.group_member.c
    groups = select(member.group_id).where(member.account_id == account_id)
    where = or_(_grant.account_id == account_id, _grant.unit_id.in_(above), _grant.group_id.in_(groups))
    rows = connection.execute(
        select(_grant.address, _grant.id)
        .join_from(tables.address_grant, tables.unit, isouter=True)
        .where(where)
        .order_by(*_FARTHEST_FIRST)
    )
    return {row.address: row.id for row in rows}


def _compared(connection: Connection, wanted: AddressGrant) -> AddressGrant:
    if [wanted.user, wanted.unit, wanted.group].count(None) != 2:
        raise Invalid("say to whom: a user, a unit or a group")
    user = users.find(connection, wanted.user).address if wanted.user is not None else None
    unit = units.find(connection, wanted.unit).path if wanted.unit is not None else None
    group = user_groups.find(connection, wanted.group).name if wanted.group is not None else None
    return AddressGrant(compared(wanted.address), user, unit, group)


def _columns(connection: Connection, wanted: AddressGrant) -> dict[str, object]:
    if wanted.user is not None:
        return {"address": wanted.address, "account_id": users.find(connection, wanted.user).id}
    if wanted.group is not None:
        return {"address": wanted.address, "group_id": user_groups.find(connection, wanted.group).id}
    return {"address": wanted.address, "unit_id": units.find(connection, wanted.unit or "/").id}


def _this(connection: Connection, wanted: AddressGrant) -> list[ColumnElement[bool]]:
    return [tables.address_grant.c[name] == value for name, value in _columns(connection, wanted).items()]


def _in_domain(name: str) -> _Addresses:
    return lambda address: address.endswith(f"@{name}", autoescape=True)


# A user's own grant goes before that of a group, that before a unit's, the unit's own before that of one above.
_FARTHEST_FIRST: Final = (
    _grant.account_id.is_not(None),
    _grant.group_id.is_not(None),
    func.length(tables.unit.c.path),
    _grant.id,
)

_BY_GRANT: Final = or_(tables.send_as.c.proof == DOMAIN_PROOF, tables.send_as.c.grant_id.is_not(None))

_GRANT_ROWS: Final = (
    select(_grant.id, _grant.address, tables.account.c.primary_address, tables.unit.c.path)
    .add_columns(tables.user_group.c.name.label("group_name"))
    .add_columns(*accounts.COMMON_GATEWAY_COLUMNS)
    .select_from(tables.address_grant)
    .outerjoin(tables.account, tables.account.c.id == _grant.account_id)
    .outerjoin(tables.unit, tables.unit.c.id == _grant.unit_id)
    .outerjoin(tables.user_group, tables.user_group.c.id == _grant.group_id)
    .outerjoin(tables.common_gateway, tables.common_gateway.c.grant_id == _grant.id)
)


def _made(row: AnyRow) -> AddressGrant:
    gateway = accounts.common_gateway(row) if row.common_grant_id is not None else None
    return AddressGrant(row.address, row.primary_address, row.path, row.group_name, gateway)
