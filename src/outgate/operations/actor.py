"""Who asks for an operation, and what they may do. Knows no operation."""

from typing import Final, Self

from sqlalchemy import Connection

from outgate.directory import roles, users
from outgate.directory.privileges import Grant, Privilege, may
from outgate.frozen import frozen

_EVERYTHING: Final = (Grant("/", frozenset(Privilege)),)


@frozen
class Actor:
    """Who asks, and from where. `account_id` is None at the console, which may do everything, and of a program that is
    nobody's, which may do what `granted` says.

    `proven` is whether they have shown lately who they are: a browser may have been left open.
    `client` is the program that acts for the user; empty if they act themselves.
    """

    name: str
    peer: str
    account_id: int | None = None
    proven: bool = True
    client: str = ""
    granted: tuple[Grant, ...] | None = None

    @classmethod
    def console(cls, system_user: str) -> Self:
        """Whoever can read the data directory has its keys already."""
        return cls(f"console ({system_user})", "console")

    @classmethod
    def server(cls) -> Self:
        """The running server, for what it does by itself."""
        return cls("the server", "server")

    @classmethod
    def user(cls, connection: Connection, address: str, peer: str) -> Self:
        """A user, with the privileges of their roles. Raises NotFound."""
        user = users.find(connection, address)
        return cls(user.address, peer, user.id)

    @property
    def at_console(self) -> bool:
        """Whether they may do everything."""
        return self.account_id is None and self.granted is None

    def grants(self, connection: Connection) -> tuple[Grant, ...]:
        """What the actor may do now."""
        if self.granted is not None:
            return self.granted
        return _EVERYTHING if self.account_id is None else roles.grants(connection, self.account_id)

    def may(self, connection: Connection, privilege: Privilege, unit: str) -> bool:
        """Whether the actor has a privilege in a unit."""
        return may(self.grants(connection), privilege, unit)
