"""Messages are found by what people know of them, through an index; also those of a former release."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from alembic import command
from sqlalchemy import Engine, select, text

from outgate.record import events, message_log
from outgate.record.events import MessageEvent, Passage
from outgate.record.message_log import MessageFilter, MessageOutcome
from outgate.record.retention import Retention, remove
from outgate.store import schema
from outgate.store.engine import migrate, open_engine, read, write
from outgate.store.tables import fact, search_key

DAY = 86400.0


def accepted(number: int, sender: str = "alice@example.com", *recipients: str, at: float = 0.0) -> MessageEvent:
    return events.accepted(
        number,
        at or float(number),
        account="alice@example.com",
        header_from=[sender],
        reverse_path=sender,
        recipients=recipients or ["carol@recipient.example"],
        size=1,
        peer="",
        protocol="",
        rfc822_message_id=f" <{number}@client.example> ",
    )


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
            f" smtputf8, automatic, protocol, received_at) VALUES ({number}, '', '', 1, 1, 1, '', false, false, false,"
            " '', 0)"
        )
    )


def found(engine: Engine, wanted: MessageFilter) -> list[int]:
    with read(engine) as conn:
        return [one.event.message_id for one in message_log.search(conn, wanted)]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (MessageFilter(), [4, 3, 2, 1]),
        (MessageFilter(address="ALICE@example.com"), [4, 3, 2, 1]),
        (MessageFilter(address="dave@x.example"), [2]),
        (MessageFilter(address="x.example"), [2]),
        (MessageFilter(address="@x.EXAMPLE"), [2]),
        (MessageFilter(address="ave@x.example"), []),
        (MessageFilter(sender="alice@dominiopartner.example"), [4]),
        (MessageFilter(sender="bücher.example"), [2]),
        (MessageFilter(sender="alice@xn--bcher-kva.example"), [2]),
        (MessageFilter(recipient="alice@example.com"), []),
        (MessageFilter(recipient="recipient.example", outcome=MessageOutcome.BOUNCED), [3]),
        (MessageFilter(sender="alice@example.com", recipient="bob@x.example"), [2]),
        (MessageFilter(message_id="3@client.example"), [3]),
        (MessageFilter(message_id="<3@client.example>"), [3]),
        (MessageFilter(outcome=MessageOutcome.DELIVERED), [1]),
        (MessageFilter(outcome=MessageOutcome.WAITING), [2]),
        (MessageFilter(outcome=MessageOutcome.BOUNCED), [3]),
        (MessageFilter(outcome=MessageOutcome.REFUSED), [4]),
        (MessageFilter(since=2.0, until=4.0), [3, 2]),
        (MessageFilter(address="example.com", limit=2), [4, 3]),
    ],
)
def test_messages_are_found(logged: Engine, wanted: MessageFilter, ids: Sequence[int]) -> None:
    assert found(logged, wanted) == ids


def test_each_message_that_is_found_says_what_became_of_it(logged: Engine) -> None:
    with read(logged) as conn:
        outcomes = {one.event.message_id: one.outcome.value for one in message_log.search(conn, MessageFilter())}
    assert outcomes == {1: "delivered", 2: "waiting", 3: "bounced", 4: "refused"}


def test_a_message_id_that_no_index_takes_stops_no_message(engine: Engine) -> None:
    event = accepted(1)
    odd = replace(event, detail=event.detail | {"message_id": "\x00\udc80é€" * 900 + "@x"})
    with write(engine) as conn:
        message_log.add(conn, [replace(odd, detail=odd.detail | {"message_id": "\x01é€" * 900 + "@x"})])
    assert found(engine, MessageFilter(message_id="\x01é€" * 900 + "@x")) == [1]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (MessageFilter(address="alice@example.com"), "search_key"),
        (MessageFilter(sender="alice@example.com"), "search_key"),
        (MessageFilter(recipient="example.com"), "search_key"),
        (MessageFilter(message_id="a@b"), "search_key"),
        (MessageFilter(outcome=MessageOutcome.BOUNCED), "ix_fact_bounced"),
        (MessageFilter(outcome=MessageOutcome.REFUSED), "ix_fact_refused"),
        (MessageFilter(outcome=MessageOutcome.WAITING), "ix_fact_"),
        (MessageFilter(since=5.0), "ix_fact_first"),
        (MessageFilter(), "ix_fact_first"),
    ],
)
def test_a_search_reads_an_index_and_not_the_table(engine: Engine, wanted: MessageFilter, index: str) -> None:
    plan = _plan(engine, wanted)
    assert index in plan
    assert "SCAN fact\n" not in plan
    assert "Seq Scan on fact" not in plan
    assert "Seq Scan on search_key" not in plan


def _plan(engine: Engine, wanted: MessageFilter) -> str:
    """On PostgreSQL with the planner's liking for whole reads of small tables taken away."""
    query = str(message_log.statement(wanted).compile(engine, compile_kwargs={"literal_binds": True})).replace(
        "%%", "%"
    )
    with read(engine) as conn:
        if engine.dialect.name == "sqlite":
            return "\n".join(row.detail for row in conn.execute(text(f"EXPLAIN QUERY PLAN {query}"))) + "\n"
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(conn.scalars(text(f"EXPLAIN {query}")))


def test_messages_of_a_former_release_are_found(new_database: Callable[..., str]) -> None:
    engine = open_engine(new_database(migrated=False))
    config = schema._config()
    with write(engine) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0003")
        for event in (accepted(1), events.refused(accepted(2, "alice@Bücher.example", "Bob@X.example"), "550 no")):
            detail = message_log._encode(event.detail)
            conn.execute(fact.insert().values(message_id=event.message_id, at=event.at, kind=event.kind, detail=detail))
    migrate(engine)
    with read(engine) as conn:
        migrated = set(conn.execute(select(search_key)).all())
    assert migrated == {(*key, e.message_id) for e in _first_events(engine) for key in message_log.keys_of(e)}
    assert found(engine, MessageFilter(sender="bücher.example", recipient="bob@x.example")) == [2]
    engine.dispose()


def _first_events(engine: Engine) -> list[MessageEvent]:
    with read(engine) as conn:
        return [one.event for one in message_log.search(conn, MessageFilter())]


# --- retention -------------------------------------------------------------------------------------------------------


async def test_only_what_is_too_old_and_waits_no_more_is_removed_with_its_keys(logged: Engine) -> None:
    with write(logged) as conn:
        message_log.add(conn, [accepted(9, at=10 * DAY)])
    await Retention(logged, 5 * DAY, lambda: 11 * DAY).tidy(pause=0)
    assert found(logged, MessageFilter()) == [9, 2]
    with read(logged) as conn:
        assert set(conn.scalars(select(search_key.c.message_id))) == {9, 2}
        assert set(conn.scalars(select(fact.c.message_id))) == {9, 2}


def test_a_batch_is_no_larger_than_it_may_be(engine: Engine) -> None:
    with write(engine) as conn:
        message_log.add(conn, [accepted(number) for number in range(1, 8)])
        assert [remove(conn, 100.0, 3) for _ in range(4)] == [3, 3, 1, 0]


async def test_a_new_sqlite_file_shrinks_when_old_messages_go(new_sqlite: Callable[..., str]) -> None:
    engine = open_engine(new_sqlite())
    with write(engine) as conn:
        message_log.add(
            conn, [accepted(n, "alice@example.com", *["x" * 60 + "@y.example"] * 50) for n in range(1, 600)]
        )
    before = _pages(engine)
    await Retention(engine, DAY, lambda: 2 * DAY).tidy(pause=0)
    assert _pages(engine) < before / 3
    engine.dispose()


async def test_a_small_pause_between_two_steps_is_enough_to_give_much_space_back(
    new_sqlite: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page a step would take days for what a year leaves."""
    engine = open_engine(new_sqlite())
    with write(engine) as conn:
        message_log.add(
            conn, [accepted(n, "alice@example.com", *["x" * 60 + "@y.example"] * 50) for n in range(1, 600)]
        )
    steps = 0
    give_back = Retention._give_back

    def counted(self: Retention) -> bool:
        nonlocal steps
        steps += 1
        return give_back(self)

    monkeypatch.setattr(Retention, "_give_back", counted)
    before = _pages(engine)
    await Retention(engine, DAY, lambda: 2 * DAY).tidy(pause=0)
    assert before - _pages(engine) > 200
    assert steps < 10
    engine.dispose()


def _pages(engine: Engine) -> int:
    with read(engine) as conn:
        return int(conn.exec_driver_sql("PRAGMA page_count").scalar_one())
