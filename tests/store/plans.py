"""How a database reads what it is asked for: the plans of statements as they were executed."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event, text

from outgate.store.engine import read

Asked = list[tuple[str, object]]  # statements with their parameters


@contextmanager
def noted(engine: Engine) -> Iterator[Asked]:
    """What is executed meanwhile."""
    seen: Asked = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def settle(engine: Engine, *tables: str) -> None:
    """PostgreSQL reads an index alone where pages are known to be all visible."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"VACUUM ANALYZE {', '.join(tables)}"))


def plans(engine: Engine, asked: Asked, part: str) -> list[str]:
    """Of the statements that have this in them."""
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    found = []
    with read(engine) as connection:
        if engine.dialect.name == "postgresql":
            for one in ("seqscan", "bitmapscan"):  # small tables are read whole, and sorted, by preference
                connection.execute(text(f"SET LOCAL enable_{one} = off"))
        for statement, parameters in [one for one in asked if part in one[0]]:
            rows = connection.exec_driver_sql(explain + statement, parameters)  # type: ignore[arg-type]
            found.append("\n".join(str(row[-1]) for row in rows))
    return found
