"""The table of operations: what is known of each without calling it. Checks, tests, docs/roles.md and every face of the
operations are made of it. Knows no connection's content and no face.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, signature
from typing import Final, get_type_hints

from sqlalchemy import Connection

from outgate.directory.privileges import Privilege
from outgate.frozen import frozen


@frozen
class Target:
    """One object of an operation: the unit it lies in, its name for the record, and the account, if it is one.

    `granted` is the address of this account that others would be given, if that is what makes it an object.
    """

    unit: str
    name: str = ""
    account_id: int | None = None
    granted: str = ""


@frozen
class TargetFinder:
    """Finds what parameters of an operation name. `where` says in whose unit the privilege is needed, for people.

    `find` gets all arguments by name, and gives no target where there is no such object to protect.
    """

    parameters: tuple[str, ...]
    where: str
    find: Callable[[Connection, Mapping[str, object]], Iterable[Target]]


@frozen
class OperationParameter:
    """What a caller gives. `type` is its annotation, resolved."""

    name: str
    type: object
    required: bool


@frozen
class Operation:
    """`needs` is what the actor must have in the unit of every target.

    With `own`, users may do it to their own account, which is recorded unless it is daily work (`own_recorded`); what
    a program does for them is recorded nevertheless, unless it is no more than a note (`programs_recorded`).
    `services` are the arguments that the installation gives and no caller. `proof` is of what changes credentials or
    roles: whoever asks for it in a browser must have shown lately who they are.
    """

    name: str
    needs: Privilege
    summary: str
    targets: tuple[TargetFinder, ...]
    changes: bool
    own: bool
    services: frozenset[str]
    proof: bool
    body: Callable[..., object]
    own_recorded: bool = True
    programs_recorded: bool = True

    def records(self, target: Target, account_id: int | None) -> bool:
        """Whether the audit trail is to say that the account's holder has done it to the target."""
        is_own = account_id is not None and target.account_id == account_id
        return self.changes and (self.own_recorded or not is_own)

    @property
    def where(self) -> str:
        """In which units the privilege is needed, for people."""
        counted = Counter(finder.where for finder in self.targets)
        return " and ".join(f"{where} (both)" if count > 1 else where for where, count in counted.items())

    @property
    def parameters(self) -> tuple[OperationParameter, ...]:
        """What a caller gives, in the order in which the function takes it."""
        types = get_type_hints(self.body, include_extras=True)
        arguments = list(signature(self.body).parameters.values())[1:]
        return tuple(
            OperationParameter(one.name, types[one.name], one.default is Parameter.empty)
            for one in arguments
            if one.name not in self.services
        )


OPERATIONS: Final[dict[str, Operation]] = {}  # filled as the modules of the operations are imported
