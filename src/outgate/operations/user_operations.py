"""Operations on users: the accounts with their passwords, places and states."""

from collections.abc import Mapping
from dataclasses import replace

from outgate.directory import (
    accounts,
    log_in_links,
    policies,
    program_consents,
    units,
    user_groups,
    users,
    web_sessions,
)
from outgate.directory.policies import Effective
from outgate.directory.privileges import Privilege
from outgate.directory.users import Credentials, External, ReplyFrom, User, UserFilter
from outgate.frozen import frozen
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue.admin import Selection
from outgate.sendas import gateways, proven_domains


@frozen
class UserDetails:
    """A user; whether a password is kept here; the values in force for them of all settings of policy, by name; and the
    groups that they are in.
    """

    user: User
    has_password: bool
    policy: Mapping[str, Effective]
    groups: tuple[str, ...]


@operation("user.list", Privilege.USERS_READ, targets.unit("unit"), changes=False)
def list_users(op: OperationContext, unit: str | None = None, *, below: bool = False) -> tuple[User, ...]:
    """List the users of a unit, or all."""
    found = users.users(op.connection, None if below else unit)
    if unit is None or not below:
        return found
    path = units.find(op.connection, unit).path
    return tuple(user for user in found if user.unit == path or user.unit.startswith(f"{path.rstrip('/')}/"))


@operation("user.search", Privilege.USERS_READ, targets.unit("unit"), changes=False)
def search(op: OperationContext, wanted: UserFilter, unit: str | None = None) -> tuple[User, ...]:
    """Find users of a unit and those below it, page by page."""
    return users.search(op.connection, replace(wanted, unit=unit))


@operation("user.show", Privilege.USERS_READ, targets.user("address"), changes=False, own=True)
def show(op: OperationContext, address: str) -> UserDetails:
    """Show a user, with the policy that is in force for them."""
    user = users.find(op.connection, address)
    log_in = accounts.login(op.connection, user.address)
    return UserDetails(
        user,
        bool(log_in and log_in.password_hash),
        policies.load(op.connection).all_effective(user.unit),
        tuple(one.name for one in user_groups.of_users(op.connection, [user.id])[user.id]),
    )


@operation(
    "user.create",
    Privilege.USERS_MANAGE,
    targets.new_user("address", "unit"),
    targets.holders("address"),
    targets.granted_to_new_user("unit"),
    proof=True,
)
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
    op.changed(name=("", name), external=("", _named(external)))
    op.note(password=credentials is not None)
    proven_domains.settle_account(op.connection, made.id, op.now)
    return made


@operation("user.edit", Privilege.USERS_MANAGE, targets.user("address"))
def edit(op: OperationContext, address: str, *, name: str | None = None, language: str | None = None) -> User:
    """Change a user's name or language."""
    before = users.find(op.connection, address)
    users.edit(op.connection, address, name=name, language=language)
    after = users.find(op.connection, address)
    op.changed(name=(before.name, after.name), language=(before.language, after.language))
    return after


@operation("user.prefer", Privilege.USERS_MANAGE, targets.user("address"), own=True)
def prefer(
    op: OperationContext, address: str, *, language: str | None = None, reply_from: ReplyFrom | None = None
) -> User:
    """Choose the language of what is shown and written to a user, and which address their replies go from."""
    before = users.find(op.connection, address)
    users.edit(op.connection, address, language=language, reply_from=reply_from)
    after = users.find(op.connection, address)
    op.changed(language=(before.language, after.language), reply_from=(before.reply_from, after.reply_from))
    return after


@operation("user.password", Privilege.USERS_SECURITY, targets.user("address"), own=True, proof=True)
def set_password(op: OperationContext, address: str, credentials: Credentials) -> None:
    """Give a user a new password. It ends all log-ins on the pages, a log-in link, and what programs may do: one of
    them may be why.
    """
    users.set_credentials(op.connection, address, credentials)
    user = users.find(op.connection, address)
    log_in_links.end(op.connection, user.id)
    op.note(sessions_ended=web_sessions.end_all(op.connection, user.id))
    op.note(programs_ended=program_consents.end_all(op.connection, user.id))


@operation("user.link", Privilege.USERS_MANAGE, targets.user("address"), proof=True)
def link(op: OperationContext, address: str, external: External) -> User:
    """Make a user that of an entry of the LDAP directory, whose password is theirs from now on."""
    before = users.find(op.connection, address).external
    op.changed(external=(_named(before), _named(external)))
    users.link(op.connection, address, external)
    return users.find(op.connection, address)


@operation("user.suspend", Privilege.USERS_MANAGE, targets.user("address"))
def suspend(op: OperationContext, address: str) -> User:
    """Suspend a user: no log-in, no sending, and the passwords of their gateways are erased."""
    user = users.find(op.connection, address)
    users.suspend(op.connection, address)
    op.changed(suspended=(user.suspended, True))
    op.note(gateways_erased=gateways.erase(op.connection, user.id))
    web_sessions.end_all(op.connection, user.id)
    program_consents.end_all(op.connection, user.id)
    log_in_links.end(op.connection, user.id)
    return users.find(op.connection, address)


@operation("user.resume", Privilege.USERS_MANAGE, targets.user("address"))
def resume(op: OperationContext, address: str) -> User:
    """Undo a suspension. Passwords of gateways were erased and must be entered again."""
    op.changed(suspended=(users.find(op.connection, address).suspended, False))
    users.resume(op.connection, address)
    user = users.find(op.connection, address)
    op.reconsider(Selection(account_id=user.id))
    return user


@operation(
    "user.move",
    Privilege.USERS_MANAGE,
    targets.user("address"),
    targets.unit("unit"),
    targets.granted_to_moved_user("address", "unit"),
)
def move(op: OperationContext, address: str, unit: str) -> User:
    """Put a user in another unit, whose policy is theirs from now on."""
    before, place = users.find(op.connection, address), units.find(op.connection, unit).path
    op.changed(unit=(before.unit, place))
    users.move(op.connection, address, place)
    proven_domains.settle_account(op.connection, before.id, op.now)
    op.reconsider(Selection(account_id=before.id))
    return users.find(op.connection, address)


@operation("user.remove", Privilege.USERS_MANAGE, targets.user("address"))
def remove(op: OperationContext, address: str) -> User:
    """Delete a user with all their addresses, gateways and passwords."""
    user = users.find(op.connection, address)
    op.note(gateways_erased=gateways.erase(op.connection, user.id))
    users.remove(op.connection, address)
    return user


def _named(external: External | None) -> str:
    return f"{external.source} {external.id} {external.dn or ''}".rstrip() if external else ""
