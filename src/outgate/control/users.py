"""Operations on users: the accounts with their passwords, places and states."""

from typing import Any

from sqlalchemy import Connection

from outgate.control import targets
from outgate.control.operation import OPERATIONS, Act, Target, operation
from outgate.directory import units, users
from outgate.directory.privileges import Privilege
from outgate.directory.users import Credentials, External, User
from outgate.queue import operations as queue
from outgate.sendas import gateways


def _new(connection: Connection, address: str, *_args: Any, unit: str = "/", **_options: Any) -> Target:
    return Target(units.find(connection, unit).path, address)


@operation("user.list", Privilege.USERS_READ, of=targets.unit, changes=False)
def list_users(act: Act, unit: str | None = None, *, below: bool = False) -> tuple[User, ...]:
    """List the users of a unit, or all."""
    found = users.users(act.connection, None if below else unit)
    if unit is None or not below:
        return found
    path = units.find(act.connection, unit).path
    return tuple(user for user in found if user.unit == path or user.unit.startswith(f"{path.rstrip('/')}/"))


@operation("user.show", Privilege.USERS_READ, of=targets.user, changes=False, own=True)
def show(act: Act, address: str) -> User:
    """Show a user."""
    return users.find(act.connection, address)


@operation("user.create", Privilege.USERS_MANAGE, of=_new)
def create(
    act: Act,
    address: str,
    credentials: Credentials | None,
    *,
    name: str = "",
    unit: str = "/",
    external: External | None = None,
) -> User:
    """Add a user."""
    made = users.create(act.connection, address, credentials, act.now, name=name, unit_path=unit, external=external)
    act.note(name=["", name], password=credentials is not None)
    if external:
        act.note(external=["", _named(external)])
    return made


@operation("user.edit", Privilege.USERS_MANAGE, of=targets.user)
def edit(act: Act, address: str, *, name: str | None = None, language: str | None = None) -> User:
    """Change a user's name or language."""
    before = users.find(act.connection, address)
    users.edit(act.connection, address, name=name, language=language)
    after = users.find(act.connection, address)
    act.note(name=[before.name, after.name], language=[before.language, after.language])
    return after


@operation("user.password", Privilege.USERS_SECURITY, of=targets.user, own=True)
def set_password(act: Act, address: str, credentials: Credentials) -> None:
    """Give a user a new password."""
    users.set_credentials(act.connection, address, credentials)


@operation("user.link", Privilege.USERS_MANAGE, of=targets.user)
def link(act: Act, address: str, external: External) -> User:
    """Make a user that of an entry of the LDAP directory, whose password is theirs from now on."""
    before = users.find(act.connection, address).external
    act.note(external=[_named(before), _named(external)])
    users.link(act.connection, address, external)
    return users.find(act.connection, address)


@operation("user.suspend", Privilege.USERS_MANAGE, of=targets.user)
def suspend(act: Act, address: str) -> User:
    """Suspend a user: no log-in, no sending, and the passwords of their gateways are erased."""
    user = users.find(act.connection, address)
    users.suspend(act.connection, address)
    act.note(suspended=[user.suspended, True], gateways_erased=gateways.erase(act.connection, user.id))
    return users.find(act.connection, address)


@operation("user.resume", Privilege.USERS_MANAGE, of=targets.user)
def resume(act: Act, address: str) -> User:
    """Undo a suspension. Passwords of gateways were erased and must be entered again."""
    act.note(suspended=[users.find(act.connection, address).suspended, False])
    users.resume(act.connection, address)
    queue.hasten(act.connection, act.now)
    return users.find(act.connection, address)


@operation("user.move", Privilege.USERS_MANAGE, of=targets.user)
def move(act: Act, address: str, unit: str) -> User:
    """Put a user in another unit, whose policy is theirs from now on."""
    before, wanted = users.find(act.connection, address), targets.unit(act.connection, unit)
    act.require(OPERATIONS["user.move"], wanted)
    act.note(unit=[before.unit, wanted.unit])
    users.move(act.connection, address, wanted.unit)
    queue.hasten(act.connection, act.now)
    return users.find(act.connection, address)


@operation("user.remove", Privilege.USERS_MANAGE, of=targets.user)
def remove(act: Act, address: str) -> User:
    """Delete a user with all their addresses, gateways and passwords."""
    user = users.find(act.connection, address)
    act.note(gateways_erased=gateways.erase(act.connection, user.id))
    users.remove(act.connection, address)
    return user


def _named(external: External | None) -> str:
    return f"{external.source} {external.id} {external.dn or ''}".rstrip() if external else ""
