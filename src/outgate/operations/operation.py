"""What an operation is: a function that checks its actor before it does anything, and records what it did.

`OPERATIONS` is the list of all; the checks, the tests and the table in docs/roles.md are made of it. Knows none of
them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from outgate.directory.change import lock
from outgate.directory.errors import DirectoryError, NotAllowed
from outgate.directory.privileges import Privilege
from outgate.operations.actor import Actor
from outgate.record import audit_trail
from outgate.record.audit_trail import DENIED, DONE, REFUSED, AuditEntry
from outgate.store.engine import read, write
from outgate.store.vault import Vault

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Target:
    """What an operation is about: the unit it lies in, its name for the record, and the account, if it is one."""

    unit: str
    name: str = ""
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """`needs` is what the actor must have in the target's unit. With `own`, users may do it to their own account.

    `where` says which unit that is, for people.
    """

    name: str
    needs: Privilege
    summary: str
    changes: bool
    own: bool
    where: str


OPERATIONS: Final[dict[str, Operation]] = {}
WHERE: Final[
    dict[Callable[..., Target], str]
] = {}  # how the finders of targets are called; operations.targets fills it


class Denied(NotAllowed):
    """The actor may not do this. `entry` is what the audit trail is to say of it."""

    def __init__(self, text: str, entry: AuditEntry) -> None:
        super().__init__(text)
        self.entry = entry


class Counted(DirectoryError):
    """A refusal that must leave its traces (a wrong code costs a try): the transaction is committed nevertheless."""

    def __init__(self, fault: DirectoryError) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(slots=True)
class OperationContext:
    """One transaction of one actor. `detail` gathers what the record of the operation under way will say."""

    connection: Connection
    vault: Vault
    actor: Actor
    now: float
    detail: dict[str, Any] = field(default_factory=dict)

    def note(self, **changes: Any) -> None:
        """For the record: `name=[old, new]`, or `name=value`. Never a secret."""
        self.detail |= changes

    def require(self, operation: Operation, target: Target) -> None:
        """Raises Denied unless the actor may do this to the target."""
        own = operation.own and target.account_id is not None and target.account_id == self.actor.account_id
        if own:
            return
        if not self.actor.may(self.connection, operation.needs, target.unit):
            raise self._denied(operation, target, f"it needs the privilege {operation.needs} in unit {target.unit}")
        other = target.account_id if operation.changes else None
        if other is not None and not self.actor.may_act_on(self.connection, other):
            raise self._denied(operation, target, f"{target.name} has privileges that you don't have")

    def entry(self, operation: Operation, target: Target, outcome: str) -> AuditEntry:
        """What the audit trail says of this."""
        return AuditEntry(
            at=self.now,
            actor=self.actor.name,
            peer=self.actor.peer,
            operation=operation.name,
            target=target.name,
            unit=target.unit,
            outcome=outcome,
            detail=self.detail,
        )

    def _denied(self, operation: Operation, target: Target, why: str) -> Denied:
        self.detail = {"reason": why}
        return Denied(f"you may not do this ({operation.name}): {why}", self.entry(operation, target, DENIED))


def operation(
    name: str, needs: Privilege, of: Callable[..., Target], *, changes: bool = True, own: bool = False
) -> Callable[[Callable[Concatenate[OperationContext, P], R]], Callable[Concatenate[OperationContext, P], R]]:
    """Make an operation of a function. `of` is called with the connection and the same arguments, and finds the target.

    An operation that `changes` something is recorded in the same transaction.
    """

    def make(body: Callable[Concatenate[OperationContext, P], R]) -> Callable[Concatenate[OperationContext, P], R]:
        known = Operation(
            name, needs, (body.__doc__ or "").partition("\n")[0], changes, own, WHERE.get(of, "the one named")
        )
        assert name not in OPERATIONS
        OPERATIONS[name] = known

        @wraps(body)
        def run(op: OperationContext, /, *args: P.args, **kwargs: P.kwargs) -> R:
            op.detail = {}
            target = of(op.connection, *args, **kwargs)
            op.require(known, target)
            try:
                result = body(op, *args, **kwargs)
            except Counted as counted:
                op.note(reason=str(counted))
                audit_trail.append(op.connection, op.vault, [op.entry(known, target, REFUSED)])
                raise
            if changes:
                audit_trail.append(op.connection, op.vault, [op.entry(known, target, DONE)])
            return result

        return run

    return make


@contextmanager
def writing(engine: Engine, vault: Vault, actor: Actor, now: float) -> Iterator[OperationContext]:
    """A transaction for operations that change something. Who was denied is recorded although nothing was done."""
    counted: Counted | None = None
    try:
        with write(engine) as connection:
            lock(connection)  # what the check has found holds until the commit
            try:
                yield OperationContext(connection, vault, actor, now)
            except Counted as error:
                counted = error
    except Denied as denied:
        record(engine, vault, denied.entry)
        raise
    if counted:
        raise counted.fault from None


@contextmanager
def reading(engine: Engine, vault: Vault, actor: Actor, now: float) -> Iterator[OperationContext]:
    """A transaction for operations that only look."""
    try:
        with read(engine) as connection:
            yield OperationContext(connection, vault, actor, now)
    except Denied as denied:
        record(engine, vault, denied.entry)
        raise


def record(engine: Engine, vault: Vault, *entries: AuditEntry) -> None:
    """Add to the audit trail in a transaction of its own."""
    with write(engine) as connection:
        lock(connection)
        audit_trail.append(connection, vault, entries)
