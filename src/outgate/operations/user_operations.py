"""Operations on users: the accounts with their passwords, places and states."""

from typing import Any

from sqlalchemy import Connection

from outgate.directory import units, users
from outgate.directory.privileges import Privilege
from outgate.directory.users import Credentials, External, User
from outgate.operations import targets
from outgate.operations.operation import OPERATIONS, OperationContext, Target, operation
from outgate.queue import admin as queue
from outgate.sendas import gateways


def _new(connection: Connection, address: str, *_args: Any, unit: str = "/", **_options: Any) -> Target:
    return Target(units.find(connection, unit).path, address)


@operation("user.list", Privilege.USERS_READ, of=targets.unit, changes=False)
def list_users(op: OperationContext, unit: str | None = None, *, below: bool = False) -> tuple[User, ...]:
    """List the users of a unit, or all."""
    found = users.users(op.connection, None if below else unit)
    if unit is None or not below:
        return found
    path = units.find(op.connection, unit).path
    return tuple(user for user in found if user.unit == path or user.unit.startswith(f"{path.rstrip('/')}/"))


@operation("user.show", Privilege.USERS_READ, of=targets.user, changes=False, own=True)
def show(op: OperationContext, address: str) -> User:
    """Show a user."""
    return users.find(op.connection, address)


@operation("user.create", Privilege.USERS_MANAGE, of=_new)
def create(
    op: OperationContext,
    address: str,
    credentials: Credentials | None,
    *,
    name: str = "",
    unit: str = "/",
    external: External | None = None,
) -> User:
    """Add a user."""
    made = users.create(op.connection, address, credentials, op.now, name=name, unit_path=unit, external=external)
    op.note(name=["", name], password=credentials is not None)
    if external:
        op.note(external=["", _named(external)])
    return made


@operation("user.edit", Privilege.USERS_MANAGE, of=targets.user)
def edit(op: OperationContext, address: str, *, name: str | None = None, language: str | None = None) -> User:
    """Change a user's name or language."""
    before = users.find(op.connection, address)
    users.edit(op.connection, address, name=name, language=language)
    after = users.find(op.connection, address)
    op.note(name=[before.name, after.name], language=[before.language, after.language])
    return after


@operation("user.password", Privilege.USERS_SECURITY, of=targets.user, own=True)
def set_password(op: OperationContext, address: str, credentials: Credentials) -> None:
    """Give a user a new password."""
    users.set_credentials(op.connection, address, credentials)


@operation("user.link", Privilege.USERS_MANAGE, of=targets.user)
def link(op: OperationContext, address: str, external: External) -> User:
    """Make a user that of an entry of the LDAP directory, whose password is theirs from now on."""
    before = users.find(op.connection, address).external
    op.note(external=[_named(before), _named(external)])
    users.link(op.connection, address, external)
    return users.find(op.connection, address)


@operation("user.suspend", Privilege.USERS_MANAGE, of=targets.user)
def suspend(op: OperationContext, address: str) -> User:
    """Suspend a user: no log-in, no sending, and the passwords of their gateways are erased."""
    user = users.find(op.connection, address)
    users.suspend(op.connection, address)
    op.note(suspended=[user.suspended, True], gateways_erased=gateways.erase(op.connection, user.id))
    return users.find(op.connection, address)


@operation("user.resume", Privilege.USERS_MANAGE, of=targets.user)
def resume(op: OperationContext, address: str) -> User:
    """Undo a suspension. Passwords of gateways were erased and must be entered again."""
    op.note(suspended=[users.find(op.connection, address).suspended, False])
    users.resume(op.connection, address)
    queue.reconsider(op.connection, op.now)
    return users.find(op.connection, address)


@operation("user.move", Privilege.USERS_MANAGE, of=targets.user)
def move(op: OperationContext, address: str, unit: str) -> User:
    """Put a user in another unit, whose policy is theirs from now on."""
    before, wanted = users.find(op.connection, address), targets.unit(op.connection, unit)
    op.require(OPERATIONS["user.move"], wanted)
    op.note(unit=[before.unit, wanted.unit])
    users.move(op.connection, address, wanted.unit)
    queue.reconsider(op.connection, op.now)
    return users.find(op.connection, address)


@operation("user.remove", Privilege.USERS_MANAGE, of=targets.user)
def remove(op: OperationContext, address: str) -> User:
    """Delete a user with all their addresses, gateways and passwords."""
    user = users.find(op.connection, address)
    op.note(gateways_erased=gateways.erase(op.connection, user.id))
    users.remove(op.connection, address)
    return user


def _named(external: External | None) -> str:
    return f"{external.source} {external.id} {external.dn or ''}".rstrip() if external else ""
