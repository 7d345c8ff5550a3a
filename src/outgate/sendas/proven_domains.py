"""Whole domains that are proven by a DNS record, and who may send as addresses in them. Knows no DNS.

A grant is turned into rows of `send_as` (`settle`): so every address has its gateway, its name and its health as
others have. `*@partner.example` is the entry that covers all addresses of a domain.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, or_, select, update

from outgate.directory import policies, units, user_groups, users
from outgate.directory.change import compared, compared_domain, lock, touch
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.frozen import frozen
from outgate.mail.addresses import without_tag
from outgate.model import DOMAIN_PROOF, WHOLE_DOMAIN
from outgate.sendas import send_as_addresses
from outgate.store import tables

CHECK_EVERY: Final = 86400.0  # seconds
SUSPENDED_AFTER: Final = 7 * 86400.0  # seconds without the record

_AT_ONCE: Final = 1000  # rows of one statement
_SINGLY: Final = 20  # accounts: more of them are settled with all others

_LABEL: Final = "_outgate"
_KEY: Final = "outgate-domain-proof="

_domain = tables.proven_domain.c
_grant = tables.address_grant.c

_Row = Row[int, int, str, str | None, float | None]  # of send_as: id, account, address, proof, verified at


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
    """Who may use an address: a user, a unit with those below it, or a group, each by its name."""

    address: str
    user: str | None
    unit: str | None
    group: str | None = None

    @property
    def to(self) -> str:
        """Whom it is granted to, for people."""
        return self.user or self.unit or self.group or ""


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
        settle(connection, now)
    return domain


def lags(connection: Connection, domain: ProvenDomain, now: float) -> bool:
    """Whether some of its addresses are not yet what they must be at this time: usable, or not."""
    columns = tables.send_as.c
    granted = select(_grant.address).where(_grant.address.endswith(f"@{domain.name}", autoescape=True))
    is_usable = domain.name in _usable(connection, now)
    other = columns.verified_at.is_(None) if is_usable else columns.verified_at.is_not(None)
    found = exists().where(columns.address.in_(granted), columns.proof == DOMAIN_PROOF, other)
    return bool(connection.scalar(select(found)))


def remove(connection: Connection, name: str, now: float) -> ProvenDomain:
    """Forget a domain with all that was granted in it. Raises NotFound."""
    domain = find(connection, name)
    connection.execute(delete(tables.proven_domain).where(_domain.name == domain.name))
    connection.execute(delete(tables.address_grant).where(_grant.address.endswith(f"@{domain.name}", autoescape=True)))
    settle(connection, now)
    return domain


# --- grants ----------------------------------------------------------------------------------------------------------


def grants(connection: Connection) -> tuple[AddressGrant, ...]:
    """All of them by address, in the order in which they were given."""
    rows = connection.execute(
        select(_grant.address, tables.account.c.primary_address, tables.unit.c.path, tables.user_group.c.name)
        .select_from(tables.address_grant)
        .outerjoin(tables.account, tables.account.c.id == _grant.account_id)
        .outerjoin(tables.unit, tables.unit.c.id == _grant.unit_id)
        .outerjoin(tables.user_group, tables.user_group.c.id == _grant.group_id)
        .order_by(_grant.address, _grant.id)
    )
    return tuple(AddressGrant(*row) for row in rows)


def grant(connection: Connection, wanted: AddressGrant, now: float) -> AddressGrant:
    """Let a user, all of a unit or all of a group send as an address without a proof of theirs. Raises AlreadyExists,
    Invalid, NotAllowed and NotFound.
    """
    wanted = _compared(connection, wanted)
    domain = wanted.address.rpartition("@")[2]
    if send_as_addresses.is_own_domain(connection, wanted.address):
        if wanted.address.startswith(WHOLE_DOMAIN):
            raise NotAllowed("{domain} is the organisation's own: grant single addresses of it", domain=domain)
    elif not find(connection, domain).is_usable(now):
        raise NotAllowed(
            "{domain} is not proven: publish its record, then: outgate domain-proof check {domain}", domain=domain
        )
    if wanted in grants(connection):
        raise AlreadyExists("{address} is granted there already", address=wanted.address)
    connection.execute(insert(tables.address_grant).values(created_at=now, **_columns(connection, wanted)))
    settle(connection, now)
    return wanted


def revoke(connection: Connection, wanted: AddressGrant, now: float) -> AddressGrant:
    """Undo `grant`. Raises NotFound."""
    wanted = _compared(connection, wanted)
    if wanted not in grants(connection):
        raise NotFound("{address} is not granted there", address=wanted.address)
    columns = [tables.address_grant.c[name] == value for name, value in _columns(connection, wanted).items()]
    connection.execute(delete(tables.address_grant).where(*columns))
    settle(connection, now)
    return wanted


def settle(connection: Connection, now: float) -> None:
    """Make the entries of all accounts what the grants say. What somebody has proven by themselves is left as it is."""
    lock(connection)
    usable = _usable(connection, now)
    rights: dict[str, set[int]] = {}
    for one in grants(connection):
        rights.setdefault(one.address, set()).update(_accounts(connection, one))
    columns = tables.send_as.c
    for row in _rows(connection, columns.proof == DOMAIN_PROOF):
        if row.account_id not in rights.get(row.address, ()):
            send_as_addresses.withdraw(connection, row.account_id, row.address)
    for address, accounts in rights.items():
        rows = _rows(connection, columns.address == address)
        verified_at = now if address.rpartition("@")[2] in usable else None
        _give(connection, {(one, address): verified_at for one in accounts}, rows, now)


def settle_account(connection: Connection, account_id: int, now: float) -> None:
    """The same for one account, whose unit is a new one, or one of whose groups."""
    lock(connection)
    granted = _granted(connection, account_id)
    rows = _rows(connection, tables.send_as.c.account_id == account_id)
    for row in rows:
        if row.proof == DOMAIN_PROOF and row.address not in granted:
            send_as_addresses.withdraw(connection, account_id, row.address)
    if granted:
        usable = _usable(connection, now)
        wanted = {(account_id, one): now if one.rpartition("@")[2] in usable else None for one in sorted(granted)}
        _give(connection, wanted, rows, now)


def settle_members(connection: Connection, group_id: int, account_ids: Collection[int], now: float) -> None:
    """The same for users who came into a group or left it."""
    if connection.scalar(select(_grant.id).where(_grant.group_id == group_id).limit(1)) is None:
        return
    if len(account_ids) > _SINGLY:
        settle(connection, now)
        return
    for one in sorted(account_ids):
        settle_account(connection, one, now)


def _rows(connection: Connection, which: ColumnElement[bool]) -> Sequence[_Row]:
    columns = tables.send_as.c
    read = (columns.id, columns.account_id, columns.address, columns.proof, columns.verified_at)
    return connection.execute(select(*read).where(which)).all()


def _usable(connection: Connection, now: float) -> set[str]:
    """The domains in which what is granted may be sent as."""
    own = connection.scalars(select(tables.domain.c.name))
    return {one.name for one in domains(connection) if one.is_usable(now)}.union(own)


def _give(
    connection: Connection, wanted: Mapping[tuple[int, str], float | None], rows: Iterable[_Row], now: float
) -> None:
    """Have entries, by account and address, verified at that time or not at all. `rows` are those there are."""
    had = {(row.account_id, row.address): row for row in rows}
    new = [
        {"account_id": account, "address": address, "tag_of": without_tag(address), "created_at": now}
        | {"verified_at": verified_at, "proof": DOMAIN_PROOF}
        for (account, address), verified_at in sorted(wanted.items())
        if (account, address) not in had
    ]
    changed: dict[float | None, list[int]] = {}
    for key, verified_at in wanted.items():
        if key in had and _differs(had[key].proof, had[key].verified_at, verified_at):
            changed.setdefault(verified_at, []).append(had[key].id)
    if new or changed:
        touch(connection)
    for start in range(0, len(new), _AT_ONCE):
        connection.execute(insert(tables.send_as), new[start : start + _AT_ONCE])
    for verified_at, ids in changed.items():
        change = update(tables.send_as).values(verified_at=verified_at, proof=DOMAIN_PROOF)
        for start in range(0, len(ids), _AT_ONCE):
            connection.execute(change.where(tables.send_as.c.id.in_(ids[start : start + _AT_ONCE])))


def _differs(proof: str | None, verified: float | None, verified_at: float | None) -> bool:
    """Whether the entry must be made the grant's: it waits for a proof, or the domain's is there, or not, unlike it."""
    is_pending = proof is None and verified is None
    return is_pending or (proof == DOMAIN_PROOF and (verified is None) != (verified_at is None))


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


def _granted(connection: Connection, account_id: int) -> set[str]:
    """What an account is granted, itself, by a unit that it is in or below, or by a group."""
    of_account = tables.account.c.id == account_id
    unit = select(tables.unit.c.path).join_from(tables.account, tables.unit).where(of_account)
    above = units.ids_of(policies.up_to_root(connection.execute(unit).scalar_one()))
    member = tables.group_member.c
    groups = select(member.group_id).where(member.account_id == account_id)
    where = or_(_grant.account_id == account_id, _grant.unit_id.in_(above), _grant.group_id.in_(groups))
    return set(connection.scalars(select(_grant.address).where(where)))


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
