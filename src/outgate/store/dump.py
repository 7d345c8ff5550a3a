"""Everything that is in the database, row by row and column by column. Knows no table's meaning."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, MetaData, Table, inspect, select

_TOGETHER: Final = 100  # rows fetched at once: one of `chunk` has up to 256 KiB


def table_names(engine: Engine) -> list[str]:
    """All tables that there are, known or not."""
    return sorted(inspect(engine).get_table_names())


def values(connection: Connection, name: str) -> Iterator[tuple[int, str, bytes]]:
    """Number of the row in the order of reading, name of the column, and the value as bytes."""
    table = Table(name, MetaData(), autoload_with=connection)
    for number, row in enumerate(connection.execution_options(yield_per=_TOGETHER).execute(select(table)), start=1):
        for column, value in row._mapping.items():
            yield number, str(column), _as_bytes(value)


def files(engine: Engine) -> list[Path]:
    """The database's files with the write-ahead log, where they are files of ours: SQLite."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return []
    path = Path(engine.url.database)
    return [one for one in (path, path.with_name(path.name + "-wal")) if one.exists()]


def _as_bytes(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return str(value).encode()
