"""What was deleted is not in SQLite's file any more."""

from pathlib import Path

from sqlalchemy import delete, insert

from outgate.store import dump
from outgate.store.engine import open_engine, write
from outgate.store.tables import role

ERASED = "erased-7d1c"


def test_a_deleted_row_leaves_no_bytes_in_the_file(new_sqlite: object, tmp_path: Path) -> None:
    assert callable(new_sqlite)
    engine = open_engine(new_sqlite())
    with write(engine) as connection:
        connection.execute(insert(role).values(name="kept", summary="kept-7d1c", privileges="[]"))
        connection.execute(insert(role).values(name="erased", summary=ERASED, privileges="[]"))
    path, log = dump.files(engine)
    assert ERASED.encode() in log.read_bytes()
    with write(engine) as connection:
        connection.execute(delete(role).where(role.c.name == "erased"))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
    engine.dispose()
    assert b"kept-7d1c" in path.read_bytes()
    assert ERASED.encode() not in path.read_bytes()
