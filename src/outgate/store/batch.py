"""Many changes of rows in one transaction: the rows of each statement gathered, and each statement executed once.

Knows no table. A room declares its statements with the step at which they run; changes add rows to them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

from outgate.store.engine import execute_many

R_co = TypeVar("R_co", covariant=True)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A statement that is executed for many rows. Steps run in the order of their numbers.

    The order is the same in all processes, so that two of them never wait for each other's rows crosswise.
    `merge` makes fewer rows of many, in an order of its own. `only_on` names the one database that needs the step.
    """

    number: int
    statement: ClauseElement
    merge: Callable[[Sequence[Row]], Sequence[Row]] | None = None
    only_on: str | None = None


class Batch:
    """The rows of a group of changes, by step."""

    def __init__(self) -> None:
        self._rows: dict[Step, list[Row]] = {}

    def add(self, step: Step, *rows: Row) -> None:
        """Have the step executed for these rows."""
        self._rows.setdefault(step, []).extend(rows)

    def execute(self, connection: Connection) -> None:
        """Execute all steps in their order."""
        dialect = connection.dialect
        for step, rows in sorted(self._rows.items(), key=lambda entry: entry[0].number):
            if rows and step.only_on in (None, dialect.name):
                merged = step.merge(rows) if step.merge else rows
                compiled = _compiled(step, dialect, tuple(merged[0]))
                execute_many(connection, compiled.text, compiled.parameters(merged))


class _Compiled:
    """A statement in the driver's own words. Core would look at each value of each row again: a third of the time."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, keys: tuple[str, ...]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(keys))
        assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        names = compiled.positiontup  # None: the driver takes them by name
        self._in_order = None if names is None else _in_order(names)
        # What no row gives: values of the statement itself, and what is to be looked up each time (the lease clock).
        self._own = {name: bind for name, bind in compiled.binds.items() if name not in keys}

    def parameters(self, rows: Sequence[Row]) -> list[tuple[Any, ...]] | list[dict[str, Any]]:
        """The rows as the driver wants them."""
        if self._own:
            own = {name: bind.effective_value for name, bind in self._own.items()}
            rows = [{**row, **own} for row in rows]
        return [dict(row) for row in rows] if self._in_order is None else list(map(self._in_order, rows))


def _in_order(names: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple([row[name] for name in names])


@lru_cache(1000)
def _compiled(step: Step, dialect: Dialect, keys: tuple[str, ...]) -> _Compiled:
    return _Compiled(step.statement, dialect, keys)


class Change(Protocol[R_co]):
    """What can be asked of a group commit. `weight` is the bytes that it writes, where they are many."""

    @property
    def weight(self) -> int:
        """Bytes of content; 0 if there is none to speak of."""

    def add_to(self, batch: Batch) -> None:
        """Add the rows that this change is made of."""

    def answer(self, connection: Connection) -> R_co:
        """What the change comes to, asked when the rows of the whole group are written."""


class RowsOnly:
    """A change that is its rows, and answers nothing."""

    __slots__ = ()

    def add_to(self, batch: Batch) -> None:
        """Add the rows that this change is made of."""
        raise NotImplementedError

    @property
    def weight(self) -> int:
        """Nothing to speak of."""
        return 0

    def answer(self, connection: Connection) -> None:
        """Nothing."""


def apply(connection: Connection, changes: Sequence[Change[Any]]) -> list[Any]:
    """Make all `changes` in the caller's transaction; the answer of each in the same order."""
    batch = Batch()
    for change in changes:
        change.add_to(batch)
    batch.execute(connection)
    return [change.answer(connection) for change in changes]
