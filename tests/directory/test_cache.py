"""directory.cache: copies in memory, never out of date."""

from sqlalchemy import Engine, insert, update

from outgate.directory.cache import Directory
from outgate.store import tables
from outgate.store.engine import write


def test_a_change_is_in_force_at_the_next_call(engine: Engine) -> None:
    directory = Directory(engine)
    assert directory.version() == 0
    assert directory.account(1) is None
    with write(engine) as connection:
        connection.execute(
            insert(tables.organisation).values(id=1, name="example.com", directory_version=1, created_at=0.0)
        )
        connection.execute(insert(tables.unit).values(id=1, path="/"))
        connection.execute(
            insert(tables.account).values(id=1, primary_address="alice@example.com", unit_id=1, created_at=0.0)
        )
        connection.execute(
            insert(tables.send_as).values(
                account_id=1, address="alice@example.com", is_primary=True, verified_at=0.0, created_at=0.0
            )
        )
    alice = directory.account(1)
    assert alice
    assert alice.name == ""
    with write(engine) as connection:
        connection.execute(update(tables.account).values(name="Alice"))
        connection.execute(update(tables.organisation).values(directory_version=2))
    alice = directory.account(1)
    assert alice
    assert alice.name == "Alice"
