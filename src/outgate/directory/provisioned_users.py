"""Users as an identity provider knows them: by its own number, and by the names that it has given, word by word.

The functions work in the caller's transaction. Knows no protocol.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from outgate.directory import units, user_groups, users
from outgate.directory.errors import Invalid
from outgate.directory.user_groups import UserGroup
from outgate.directory.users import LONGEST_NAME, User
from outgate.frozen import frozen
from outgate.store import tables

_account, _given = tables.account.c, tables.provisioned_user.c


@frozen
class ProviderNames:
    """What an identity provider says of a user, apart from the address; None is what it says nothing of."""

    external_id: str | None = None
    display_name: str | None = None
    given_name: str | None = None
    family_name: str | None = None

    @property
    def whole_name(self) -> str:
        """The name that others see."""
        return self.display_name or " ".join(one for one in (self.given_name, self.family_name) if one)


@frozen
class ProvisionedUser:
    """A user, what an identity provider says of them (None if none has said anything yet), and their groups."""

    user: User
    names: ProviderNames | None
    groups: tuple[UserGroup, ...]


def search(
    connection: Connection, where: ColumnElement[bool], unit: str, after: int, limit: int
) -> tuple[int, tuple[ProvisionedUser, ...]]:
    """How many users of a unit and those below meet a condition on rows of `account`, and so many of them, by age,
    without the first `after`. Raises NotFound.
    """
    path = units.find(connection, unit).path
    here = where if path == "/" else where & _account.unit_id.in_(units.ids_below(path))
    total = connection.scalar(select(func.count()).select_from(tables.account).where(here)) or 0
    ids = connection.scalars(select(_account.id).where(here).order_by(_account.id).offset(after).limit(limit)).all()
    return total, _with_names(connection, users.some(connection, ids))


def find(connection: Connection, address: str) -> ProvisionedUser:
    """The user of this primary address. Raises NotFound, Invalid."""
    return _with_names(connection, [users.find(connection, address)])[0]


def set_names(connection: Connection, account_id: int, names: ProviderNames) -> None:
    """Keep what is said now, in place of what was said before. Raises Invalid."""
    said = (names.external_id, names.display_name, names.given_name, names.family_name)
    if any(len(one) > LONGEST_NAME or "\0" in one for one in said if one):
        raise Invalid("a name or external number has at most {most} characters", most=LONGEST_NAME)
    connection.execute(delete(tables.provisioned_user).where(_given.account_id == account_id))
    row = {"account_id": account_id, **{name: getattr(names, name) for name in _COLUMNS}}
    connection.execute(insert(tables.provisioned_user).values(row))


def names_of(connection: Connection, account_ids: Collection[int]) -> Mapping[int, ProviderNames]:
    """What was said of those of these users that anything was said of."""
    rows = connection.execute(select(tables.provisioned_user).where(_given.account_id.in_(account_ids)))
    return {
        row.account_id: ProviderNames(row.external_id, row.display_name, row.given_name, row.family_name)
        for row in rows
    }


def _with_names(connection: Connection, found: Sequence[User]) -> tuple[ProvisionedUser, ...]:
    ids = [one.id for one in found]
    names, groups = names_of(connection, ids), user_groups.of_users(connection, ids)
    return tuple(ProvisionedUser(one, names.get(one.id), groups[one.id]) for one in found)


_COLUMNS: Final = ("external_id", "display_name", "given_name", "family_name")
