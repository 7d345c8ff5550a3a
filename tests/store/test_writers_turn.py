"""Programs that write one SQLite database take turns; who only joins leaves nothing behind."""

import fcntl
import threading
from pathlib import Path

from sqlalchemy import text

from outgate.store.engine import make_file, open_engine
from outgate.store.writers_turn import WritersTurn


def test_who_joins_a_server_waits_for_its_turn(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/outgate.db")
    server, command, third = WritersTurn.served(engine), WritersTurn.joined(engine), WritersTurn.joined(engine)
    order, waits = list[str](), threading.Event()

    def write() -> None:
        waits.set()
        with command:
            order.append("command")
            assert not _may_write(server)

    thread = threading.Thread(target=write)
    with server:
        assert not _may_write(third)
        thread.start()
        assert waits.wait(10)
        order.append("server")
    thread.join(10)
    assert order == ["server", "command"]
    assert _may_write(third)
    for one in (server, command, third):
        one.close()
    engine.dispose()


def _may_write(turn: WritersTurn) -> bool:
    """Whether it would not have to wait."""
    assert turn._file
    try:
        fcntl.flock(turn._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(turn._file, fcntl.LOCK_UN)
    return True


def test_without_a_server_a_command_makes_no_file_that_a_server_could_not_open(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/outgate.db")
    turn = WritersTurn.joined(engine)
    with turn:
        assert not list(tmp_path.glob("*.turn"))
    turn.close()
    engine.dispose()


def test_on_postgresql_nobody_waits_for_another() -> None:
    """Also not for whoever has locked the same device file."""
    engine = open_engine("postgresql://nowhere.example/outgate")
    first, second = WritersTurn.served(engine), WritersTurn.joined(engine)
    with first, second:
        pass
    for one in (first, second):
        one.close()
    engine.dispose()


def test_who_is_stopped_in_the_middle_of_a_command_keeps_no_server_from_its_turn(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/outgate.db")
    make_file(engine)
    server, command = WritersTurn.served(engine), WritersTurn.joined(engine)
    with command.begun(engine) as connection:
        connection.execute(text("CREATE TABLE t (x)"))
        with (tmp_path / "outgate.db.turn").open() as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with command.begun(engine) as connection:
        assert connection.execute(text("SELECT * FROM t")).all() == []
    for one in (server, command):
        one.close()
    engine.dispose()
