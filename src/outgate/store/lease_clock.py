"""The clock by which leases run: one that all who share the database agree on, and that nobody sets.

SQLite is shared by the processes of one machine: the time since its start, which stands still while it sleeps. On
PostgreSQL it is the database server's own clock. Wall time would end every lease when it is set ahead.
"""

import time
from typing import Any

from sqlalchemy import Double, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement


class LeaseNow(FunctionElement[float]):
    """The time now, in seconds, as a SQL expression."""

    type = Double()
    inherit_cache = True


@compiles(LeaseNow, "postgresql")
def _of_the_server(_element: LeaseNow, _compiler: SQLCompiler, **_options: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"


@compiles(LeaseNow, "sqlite")
def _of_the_machine(_element: LeaseNow, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(bindparam("lease_now", callable_=_steady, type_=Double()), **options)


def _steady() -> float:
    return time.monotonic()
