"""What makes an operation of a function: the check of its actor before it does anything, the record of what it did, and
its row in the table.
"""

from collections.abc import Callable, Iterator
from functools import update_wrapper
from inspect import signature
from itertools import chain
from typing import Concatenate, Generic, ParamSpec, TypeVar

from sqlalchemy import Connection

from outgate.directory.privileges import Privilege
from outgate.operations.context import Counted, OperationContext
from outgate.operations.operation_table import OPERATIONS, Operation, Target, TargetFinder
from outgate.record import audit_trail
from outgate.record.audit_trail import DONE, REFUSED

P = ParamSpec("P")
R = TypeVar("R")
Body = Callable[Concatenate[OperationContext, P], R]


class OperationFunction(Generic[P, R]):
    """A function that checks its actor, does its work, and records it in the same transaction if it changes something.

    Its targets, in the order in which they are named: the record is of the first.
    """

    def __init__(self, operation: Operation, body: Body[P, R]) -> None:
        update_wrapper(self, body)
        self.operation = operation
        self._body = body
        self._signature = signature(body)

    def __call__(self, op: OperationContext, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do it. Raises Denied, and what the body raises."""
        op.detail, op.outcome = {}, DONE
        target = self.require(op, *args, **kwargs)
        try:
            result = self._body(op, *args, **kwargs)
        except Counted as counted:
            op.note(reason=str(counted))
            audit_trail.append(op.connection, op.vault, [op.entry(self.operation, target, REFUSED)])
            raise
        is_program = bool(op.actor.client) and self.operation.programs_recorded
        if self.operation.records(target, None if is_program else op.actor.account_id):
            audit_trail.append(op.connection, op.vault, [op.entry(self.operation, target, op.outcome)])
        return result

    def require(self, op: OperationContext, /, *args: P.args, **kwargs: P.kwargs) -> Target:
        """Raises Denied unless the actor may do it; does nothing else. Returns the first target."""
        targets = self._targets(op.connection, op, *args, **kwargs)
        first = next(targets)
        op.require(self.operation, chain([first], targets))
        return first

    def _targets(
        self, connection: Connection, op: OperationContext, *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[Target]:
        bound = self._signature.bind(op, *args, **kwargs)
        bound.apply_defaults()
        for finder in self.operation.targets:
            yield from finder.find(connection, bound.arguments)


def operation(
    name: str,
    needs: Privilege,
    *of: TargetFinder,
    changes: bool = True,
    own: bool = False,
    services: tuple[str, ...] = (),
    own_recorded: bool = True,
    programs_recorded: bool = True,
    proof: bool = False,
) -> Callable[[Body[P, R]], OperationFunction[P, R]]:
    """Make an operation of a function and put it into the table. `of` are its targets, all of them."""

    def make(body: Body[P, R]) -> OperationFunction[P, R]:
        assert of
        assert name not in OPERATIONS
        summary = (body.__doc__ or "").partition("\n")[0]
        OPERATIONS[name] = Operation(
            name,
            needs,
            summary,
            of,
            changes,
            own,
            frozenset(services),
            proof,
            body,
            own_recorded=own_recorded,
            programs_recorded=programs_recorded,
        )
        return OperationFunction(OPERATIONS[name], body)

    return make
