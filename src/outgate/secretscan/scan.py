"""The search for all known secrets in all places: database, its files, logs, and the memory of the server."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine

from outgate.secretscan import scan_targets
from outgate.secretscan.search import Piece, ScanTarget, Search, Searched
from outgate.store import dump
from outgate.store.engine import read


def look(engine: Engine, search: Search, logs: Sequence[Path], pids: Sequence[int]) -> Iterator[Searched]:
    """One place after the other. Raises places.NotReadable, OSError and store.engine.StoreUnavailable."""
    with read(engine) as connection:
        for name in dump.table_names(engine):
            yield search.look(ScanTarget(f"table {name}", _rows(connection, name)))
    for path in (*dump.files(engine), *logs):
        yield search.look(scan_targets.file(path))
    for pid in pids:
        yield search.look(scan_targets.memory(pid))


def _rows(connection: Connection, name: str) -> Iterator[Piece]:
    for number, column, value in dump.values(connection, name):
        yield Piece(value, label=f"row {number}, {column}, byte ")
