"""Roles: those that administrators made, and who has which role for which unit."""

import json
import re
from collections.abc import Iterable
from dataclasses import field
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from outgate.directory import units, users
from outgate.directory.change import touch
from outgate.directory.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from outgate.directory.privileges import BUILT_IN, FIRST_NUMBER, Grant, Privilege, Role
from outgate.frozen import frozen
from outgate.store import tables

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
SUPER_ADMIN: Final = "super-admin"


@frozen
class Assignment:
    """Somebody has a role for a unit and those below it. The numbers, by which programs know all of it, stay."""

    account: str
    role: str
    unit: str
    number: int = field(default=0, compare=False)
    account_id: int = field(default=0, compare=False)
    unit_id: int = field(default=0, compare=False)


def roles(connection: Connection) -> tuple[Role, ...]:
    """The built-in roles, then those that were made here, by name."""
    rows = connection.execute(select(tables.role).order_by(tables.role.c.name))
    return (*BUILT_IN.values(), *(_own(row) for row in rows))


def find(connection: Connection, name: str) -> Role:
    """The role of this name. Raises NotFound."""
    for role in roles(connection):
        if role.name == name:
            return role
    raise NotFound("there is no role '{role}'; `outgate role list` shows those that exist", role=name[:80])


def create(connection: Connection, name: str, privileges: Iterable[str], summary: str = "") -> Role:
    """Make a role. Raises AlreadyExists and Invalid."""
    touch(connection)
    if not _NAME.fullmatch(name):
        raise Invalid("'{text}' is not a role's name: small letters, digits and hyphens, at most 40", text=name[:80])
    if name in {role.name for role in roles(connection)}:
        raise AlreadyExists("there is a role {role} already", role=name)
    wanted = _checked(privileges)
    encoded = json.dumps(sorted(wanted))
    connection.execute(insert(tables.role).values(name=name, summary=summary, privileges=encoded))
    return find(connection, name)


def remove(connection: Connection, name: str) -> None:
    """Remove a role that was made here and that nobody has, nor a SCIM token. Raises NotAllowed and NotFound."""
    touch(connection)
    if find(connection, name).name in BUILT_IN:
        raise NotAllowed("{role} is built in and can't be removed", role=name)
    if held := next(iter(assignments(connection, role=name)), None):
        raise NotAllowed(
            "{user} has the role {role} for {unit}; take it away first", user=held.account, role=name, unit=held.unit
        )
    token = tables.scim_token.c
    if holder := connection.scalar(select(token.name).where(token.role == name).order_by(token.name).limit(1)):
        raise NotAllowed("the SCIM token {token} has the role {role}; revoke it first", token=holder, role=name)
    connection.execute(delete(tables.role).where(tables.role.c.name == name))


def assign(connection: Connection, address: str, role: str, unit: str, now: float) -> Assignment:
    """Give a user a role for a unit and those below it. Raises AlreadyExists and NotFound."""
    touch(connection)
    user, place, known = users.find(connection, address), units.find(connection, unit), find(connection, role)
    made = Assignment(user.address, known.name, place.path)
    if made in assignments(connection, address=user.address):
        raise AlreadyExists(
            "{user} has the role {role} for {unit} already", user=user.address, role=role, unit=place.path
        )
    values = {"account_id": user.id, "role": known.name, "unit_id": place.id, "created_at": now}
    connection.execute(insert(tables.role_assignment).values(values))
    return next(one for one in assignments(connection, address=user.address) if one == made)


def unassign(connection: Connection, address: str, role: str, unit: str) -> Assignment:
    """Take a role away. Raises NotFound."""
    touch(connection)
    user, place = users.find(connection, address), units.find(connection, unit)
    columns = tables.role_assignment.c
    found = connection.execute(
        delete(tables.role_assignment).where(
            columns.account_id == user.id, columns.role == role, columns.unit_id == place.id
        )
    )
    if not found.rowcount:
        raise NotFound(
            "{user} does not have the role {role} for {unit}", user=user.address, role=role[:80], unit=place.path
        )
    return Assignment(user.address, role, place.path)


def assignments(
    connection: Connection, *, address: str | None = None, role: str | None = None
) -> tuple[Assignment, ...]:
    """Who has which role where, all or of one user or role."""
    account, held = tables.account.c, tables.role_assignment.c
    query = (
        select(account.primary_address, held.role, tables.unit.c.path, held.id, held.account_id, held.unit_id)
        .join_from(tables.role_assignment, tables.account)
        .join(tables.unit, tables.unit.c.id == held.unit_id)
        .order_by(account.primary_address, held.role, tables.unit.c.path)
    )
    if address is not None:
        query = query.where(account.primary_address == address)
    if role is not None:
        query = query.where(held.role == role)
    return tuple(Assignment(*row) for row in connection.execute(query))


@frozen
class Administrator:
    """Somebody who may do something everywhere, and the language to write to them in."""

    address: str
    language: str


def administrators(connection: Connection, privilege: Privilege) -> tuple[Administrator, ...]:
    """Who has a privilege for the whole organisation, by address; nobody who is suspended."""
    account, held = tables.account.c, tables.role_assignment.c
    names = [role.name for role in roles(connection) if privilege in role.privileges]
    rows = connection.execute(
        select(account.primary_address, account.language)
        .join_from(tables.role_assignment, tables.account)
        .join(tables.unit, tables.unit.c.id == held.unit_id)
        .where(held.role.in_(names), tables.unit.c.path == "/", ~account.suspended)
        .distinct()
        .order_by(account.primary_address)
    )
    return tuple(Administrator(*row) for row in rows)


def grants(connection: Connection, account_id: int) -> tuple[Grant, ...]:
    """What an account may do as an administrator: nothing while it is suspended."""
    account, held = tables.account.c, tables.role_assignment.c
    rows = connection.execute(
        select(tables.unit.c.path, held.role)
        .join_from(tables.role_assignment, tables.account)
        .join(tables.unit, tables.unit.c.id == held.unit_id)
        .where(account.id == account_id, ~account.suspended)
    ).all()
    if not rows:
        return ()
    known = {role.name: role for role in roles(connection)}
    return tuple(Grant(path, known[name].privileges) for path, name in rows if name in known)


def holders(connection: Connection) -> frozenset[int]:
    """The accounts that have a role anywhere."""
    return frozenset(connection.scalars(select(tables.role_assignment.c.account_id).distinct()))


def _own(row: Row[*tuple[Any, ...]]) -> Role:
    return Role(row.name, row.summary, _parsed(row.privileges), FIRST_NUMBER + row.id)


def _checked(names: Iterable[str]) -> frozenset[Privilege]:
    try:
        found = frozenset(Privilege(name.strip()) for name in names)
    except ValueError as error:
        raise Invalid("{why}; the privileges are: {privileges}", why=error, privileges=", ".join(Privilege)) from None
    if not found:
        raise Invalid(
            "a role has at least one privilege; the privileges are: {privileges}", privileges=", ".join(Privilege)
        )
    return found


def _parsed(encoded: str) -> frozenset[Privilege]:
    """A later release may have known more privileges: what this one does not know, it does not grant."""
    return frozenset(Privilege(name) for name in json.loads(encoded) if name in set(Privilege))
