"""One transaction of one actor, in which operations are called. Knows no operation."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine

from outgate.directory import roles
from outgate.directory.change import lock
from outgate.directory.errors import DirectoryError, NotAllowed
from outgate.directory.privileges import Grant, at_least, may
from outgate.operations import waiting_mail
from outgate.operations.actor import Actor
from outgate.operations.operation_table import Operation, Target
from outgate.operations.waiting_mail import LaterChange
from outgate.queue.admin import Selection
from outgate.record import audit_trail
from outgate.record.audit_trail import DENIED, DONE, AuditEntry
from outgate.store.engine import read, write
from outgate.store.vault import Vault

T = TypeVar("T")


class Denied(NotAllowed):
    """The actor may not do this. `entry` is what the audit trail is to say of it."""

    def __init__(self, entry: AuditEntry, reason: str) -> None:
        super().__init__("you may not do this ({operation}): {reason}", operation=entry.operation, reason=reason)
        self.entry = entry


class ProofNeeded(NotAllowed):
    """The actor may do this once they have shown again who they are. Nothing was done."""

    def __init__(self) -> None:
        super().__init__("log in again first: it was too long ago that you have shown who you are")


class Counted(DirectoryError):
    """A refusal that must leave its traces (a wrong code costs a try): the transaction is committed nevertheless."""

    def __init__(self, fault: Exception) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(slots=True)
class OperationContext:
    """`detail` and `outcome` are what the record of the operation under way will say."""

    connection: Connection
    vault: Vault
    actor: Actor
    now: float
    detail: dict[str, object] = field(default_factory=dict)
    outcome: str = DONE
    later: list[LaterChange] = field(default_factory=list)  # made after the commit

    def note(self, **facts: object) -> None:
        """For the record. Never a secret."""
        self.detail |= facts

    def changed(self, **pairs: tuple[object, object]) -> None:
        """For the record: each thing's old and new value, where they differ. Never a secret."""
        self.detail |= {name: [old, new] for name, (old, new) in pairs.items() if old != new}

    def reconsider(self, wanted: Selection) -> None:
        """After the commit, have this waiting mail decided again: what its route depends on has changed."""
        self.later.append(waiting_mail.reconsider(self.now, wanted))

    def step(self) -> AbstractContextManager[object]:
        """A part of the transaction that, if it fails, undoes only itself."""
        return self.connection.begin_nested()

    def require(self, operation: Operation, targets: Iterable[Target]) -> None:
        """Raises Denied unless the actor may do this to every one of the targets, and ProofNeeded."""
        if self.actor.at_console:
            return  # and nobody looks for the other targets
        standing = _Standing(self.connection, self.actor)
        for target in targets:
            if reason := standing.reason_against(operation, target):
                if target.granted:
                    why = f"it lets users send as {target.granted}, which {target.name} has"
                    reason = f"{why}: {reason}; ask a super administrator"
                self.detail = {"reason": reason}
                raise Denied(self.entry(operation, target, DENIED), reason)
        if operation.proof and not self.actor.proven:
            raise ProofNeeded

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
            detail=self.detail | ({"client": self.actor.client} if self.actor.client else {}),
        )


class _Standing:
    """What an actor may do and who else has privileges, read once: a grant's holders may be thousands, looked at while
    nothing else is written.
    """

    def __init__(self, connection: Connection, actor: Actor) -> None:
        self._connection, self._actor = connection, actor

    @cached_property
    def _grants(self) -> tuple[Grant, ...]:
        return self._actor.grants(self._connection)

    @cached_property
    def _with_roles(self) -> frozenset[int]:
        return roles.holders(self._connection)

    def reason_against(self, operation: Operation, target: Target) -> str:
        """Why the actor may not do this to the target; empty if they may."""
        if operation.own and target.account_id is not None and target.account_id == self._actor.account_id:
            return ""
        if not may(self._grants, operation.needs, target.unit):
            return f"it needs the privilege {operation.needs} in unit {target.unit}"
        other = target.account_id if operation.changes else None
        if other is not None and not self._may_act_on(other):
            return f"{target.name} has privileges that you don't have"
        return ""

    def _may_act_on(self, account_id: int) -> bool:
        """Whether the actor may do all that this account may: else helping it would be a way to more power."""
        if account_id == self._actor.account_id or account_id not in self._with_roles:
            return True
        return at_least(self._grants, roles.grants(self._connection, account_id))


Change = Callable[[OperationContext], T]


class Transactions(Protocol):
    """Where whatever needs several transactions gets them: one caller's, who is the same actor in all of them."""

    def reading(self) -> AbstractContextManager[OperationContext]:
        """As the function below."""

    def writing(self) -> AbstractContextManager[OperationContext]:
        """As the function below; returns when what was committed is in force everywhere (operations.propagation)."""

    def writing_one_of_many(self) -> AbstractContextManager[OperationContext]:
        """As `writing`, without waiting; whoever asks for it asks for `writing` at the end."""


@contextmanager
def writing(
    engine: Engine, vault: Vault, actor: Actor, now: float, later: list[LaterChange] | None = None
) -> Iterator[OperationContext]:
    """A transaction for operations that change something. Who was denied is recorded although nothing was done.

    What it has done to waiting mail after the commit is put on the list `later`; without one it is done here.
    """
    op: OperationContext | None = None
    counted: Counted | None = None
    try:
        with write(engine) as connection:
            lock(connection)  # what the check has found holds until the commit
            try:
                op = OperationContext(connection, vault, actor, now)
                yield op
            except Counted as error:
                counted = error
    except Denied as denied:
        record(engine, vault, denied.entry)
        raise
    if counted:
        raise counted.fault from None
    if op and later is not None:
        later.extend(op.later)
    elif op:
        waiting_mail.carry_out(engine, op.later)


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


class _Undone(Exception):
    """Ends a rehearsal."""


def rehearse(transactions: Transactions, change: Change[object]) -> None:
    """Make a change and undo it: whatever speaks against it is raised now, before anything is connected to."""
    with suppress(_Undone), transactions.writing_one_of_many() as op:
        change(op)
        raise _Undone
