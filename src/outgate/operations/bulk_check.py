"""What speaks against rows of users, found by reading alone: nobody's submission waits for it.

The rules are the directory's own; a test holds its answers against those of the operations.
"""

from collections.abc import Mapping
from typing import Final

from outgate.directory import organisation, units, users
from outgate.directory.change import compared
from outgate.directory.errors import Invalid, NotFound
from outgate.directory.users import Credentials, User
from outgate.operations import user_operations
from outgate.operations.context import OperationContext

_YES: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

_NO_CREDENTIALS: Final = Credentials("", "")  # none is derived to be checked


class UserCheck:
    """The directory as it is now, held against rows."""

    def __init__(self, op: OperationContext) -> None:
        self._op = op
        self._users = {user.address: user for user in users.users(op.connection)}
        self._domains = frozenset(domain.name for domain in organisation.domains(op.connection))
        self._units = frozenset(units.paths(op.connection))

    def check(self, row: Mapping[str, str]) -> None:
        """Raises what the import of the row would raise: DirectoryError or AddressError."""
        address = compared(row["address"])
        if password := row.get("password"):
            users.check_password(password)
        before = self._users.get(address)
        if before is None:
            users.check_domain(address, self._domains)
        elif password and before.external:
            raise users.password_elsewhere(address)
        self._check_values(address, row)
        if not self._op.actor.at_console:
            self._require(address, row, before)

    def _check_values(self, address: str, row: Mapping[str, str]) -> None:
        if name := row.get("name"):
            users.check_name(name, address)
        if (unit := row.get("unit")) and (path := units.normal_path(unit)) not in self._units:
            raise NotFound("there is no unit {path}", path=path)
        if language := row.get("language"):
            users.check_language(language)
        flag(row, "suspended")

    def _require(self, address: str, row: Mapping[str, str], before: User | None) -> None:
        """Every operation that the import would call."""
        op, unit, suspended = self._op, row.get("unit") or "/", flag(row, "suspended")
        if before is None:
            user_operations.create.require(op, address, None, unit=unit)
            return
        if row.get("password"):
            user_operations.set_password.require(op, address, _NO_CREDENTIALS)
        if (row.get("name") or before.name, row.get("language") or before.language) != (before.name, before.language):
            user_operations.edit.require(op, address)
        if row.get("unit") and unit != before.unit:
            user_operations.move.require(op, address, unit)
        if suspended is not None and suspended != before.suspended:
            (user_operations.suspend if suspended else user_operations.resume).require(op, address)


def flag(row: Mapping[str, str], column: str) -> bool | None:
    """Yes or no, None where the row leaves it empty. Raises Invalid."""
    text = row.get(column, "").lower()
    if not text:
        return None
    if text not in _YES:
        raise Invalid("'{text}' in the column {column} is neither yes nor no", text=text[:20], column=column)
    return _YES[text]
