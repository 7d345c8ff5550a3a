"""A record with a message of each outcome."""

import pytest
from sqlalchemy import Engine, text

from outgate.record import events, message_log
from outgate.record.events import Passage
from outgate.store.engine import write
from record.recorded import accepted


@pytest.fixture
def logged(engine: Engine) -> Engine:
    """1 delivered, 2 waits, 3 bounced, 4 refused."""
    passage = Passage(3, "", "local", "local")
    with write(engine) as conn:
        message_log.add(conn, [accepted(1), accepted(2, "alice@Bücher.example", "Bob@X.example", "dave@x.example")])
        message_log.add(conn, [accepted(3), events.bounced(passage, 9.0, recipient="c@r", reason="550", report=None)])
        message_log.add(conn, [events.refused(accepted(4, "alice@dominiopartner.example"), "550 5.7.1 no")])
        _queue(conn, 2)
    return engine


def _queue(conn: object, number: int) -> None:
    conn.execute(  # type: ignore[attr-defined]
        text(
            "INSERT INTO message (id, chosen_from, reverse_path, size, header_size, chunks, body_digest, eight_bit,"
            f" smtputf8, protocol, received_at) VALUES ({number}, '', '', 1, 1, 1, '', false, false,"
            " '', 0)"
        )
    )
