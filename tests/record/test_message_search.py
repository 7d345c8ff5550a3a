"""Messages are found by what people know of them, through an index; also those of a former release."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, event, func, select, text

from outgate.record import events, message_log, search_keys
from outgate.record.message_log import MessageFilter, MessageOutcome
from outgate.store import schema
from outgate.store.batch import apply
from outgate.store.engine import migrate, open_engine, read, write
from outgate.store.group_commit import GroupCommit
from outgate.store.tables import fact, fresh_search_keys, search_key
from record.recorded import accepted, found, sort_in


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


@pytest.mark.parametrize(
    "wanted",
    [
        MessageFilter(),
        MessageFilter(since=0.5),
        MessageFilter(sender="alice@example.com"),
        MessageFilter(recipient="recipient.example"),
        MessageFilter(outcome=MessageOutcome.DELIVERED),
    ],
)
def test_page_by_page_each_message_comes_once(engine: Engine, wanted: MessageFilter) -> None:
    """Also where several came at the same time."""
    with write(engine) as conn:
        message_log.add(conn, [accepted(number, at=1.0 + number // 3) for number in range(1, 8)])
    pages, last = list[list[int]](), None
    while page := found(engine, replace(wanted, limit=2, older_than=last)):
        pages.append(page)
        last = page[-1]
    assert pages == [[7, 6], [5, 4], [3, 2], [1]]


def test_nothing_comes_behind_a_message_that_was_let_go(logged: Engine) -> None:
    assert found(logged, MessageFilter(older_than=99)) == []


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
        (MessageFilter(older_than=5), "ix_fact_first"),
        (MessageFilter(recipient="example.com", older_than=5), "search_key"),
    ],
)
def test_a_search_reads_an_index_and_not_the_table(engine: Engine, wanted: MessageFilter, index: str) -> None:
    plan = _plans(engine, wanted)
    assert index in plan
    assert "SCAN fact\n" not in plan
    assert "Seq Scan on fact" not in plan
    assert "Seq Scan on search_key" not in plan


WALKED = 3


@pytest.fixture
def popular(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Sixty messages of a domain, a day apart. One of ten goes to another domain as well; those after the fortieth are
    fresh. A step is of three.
    """
    monkeypatch.setattr(message_log, "_WALKED", WALKED)
    _popular(engine, range(1, 41))
    asyncio.run(sort_in(engine))
    _popular(engine, range(41, 61))
    return engine


def _popular(engine: Engine, numbers: Sequence[int]) -> None:
    with write(engine) as conn:
        for number in numbers:
            other = [f"x{number}@rare.example"] if number % 10 == 0 else []
            to = ["carol@popular.example", *other]
            message_log.add(conn, [accepted(number, "alice@example.com", *to, at=number * 86400.0)])


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (MessageFilter(recipient="popular.example", limit=4), [60, 59, 58, 57]),
        (MessageFilter(recipient="popular.example", limit=3, older_than=42), [41, 40, 39]),
        (MessageFilter(recipient="popular.example", sender="example.com", limit=2), [60, 59]),
        (MessageFilter(recipient="popular.example", address="rare.example"), [60, 50, 40, 30, 20, 10]),
        (MessageFilter(recipient="rare.example", sender="example.com", limit=4, older_than=50), [40, 30, 20, 10]),
        (MessageFilter(address="popular.example", outcome=MessageOutcome.REFUSED), []),
        (MessageFilter(address="example.com", until=86400.0 * 4), [3, 2, 1]),
        (MessageFilter(address="example.com", since=86400.0 * 57, until=86400.0 * 59), [58, 57]),
        (MessageFilter(recipient="popular.example", message_id="33@client.example"), [33]),
    ],
)
def test_a_popular_domain_is_walked_from_its_newest_messages(
    popular: Engine, wanted: MessageFilter, ids: Sequence[int]
) -> None:
    assert found(popular, wanted) == ids


@pytest.mark.parametrize(
    ("wanted", "steps"),
    [
        (MessageFilter(recipient="popular.example", limit=3), 1),
        (MessageFilter(recipient="popular.example", limit=100), 60 / WALKED + 1),
        (MessageFilter(recipient="popular.example", limit=3, since=86400.0 * 60), 1),
        (MessageFilter(recipient="popular.example", limit=2, until=86400.0 * 3), 2),
        (MessageFilter(recipient="popular.example", outcome=MessageOutcome.REFUSED), 1),
        (MessageFilter(recipient="popular.example", outcome=MessageOutcome.BOUNCED), 1),
        (MessageFilter(recipient="popular.example", outcome=MessageOutcome.WAITING), 1),
        (MessageFilter(recipient="popular.example", message_id="33@client.example"), 1),
        (MessageFilter(sender="example.com", recipient="rare.example"), 6 / WALKED + 1),
        (MessageFilter(address="rare.example", recipient="popular.example"), 6 / WALKED + 1),
    ],
)
def test_the_fewest_messages_are_walked_and_none_long_before_or_after_the_times(
    popular: Engine, wanted: MessageFilter, steps: float
) -> None:
    asked = list[tuple[str, Any]]()
    with read(popular) as conn:
        event.listen(conn, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        list(message_log.search(conn, wanted))
    assert len([1 for statement, _ in asked if "AS outcome" in statement]) == steps


def test_few_that_became_something_else_are_found_among_many(popular: Engine) -> None:
    with write(popular) as conn:
        message_log.add(conn, [events.refused(accepted(70, "alice@example.com", "carol@popular.example"), "550 no")])
        message_log.add(conn, [events.refused(accepted(80, "alice@example.com", "carol@other.example"), "550 no")])
    assert found(popular, MessageFilter(recipient="popular.example", outcome=MessageOutcome.REFUSED)) == [70]
    assert found(popular, MessageFilter(sender="example.com", outcome=MessageOutcome.REFUSED)) == [80, 70]
    assert found(popular, MessageFilter(sender="example.com", outcome=MessageOutcome.REFUSED, older_than=80)) == [70]


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_keys, "AT_ONCE", 4)


def _searched(engine: Engine) -> list[list[int]]:
    people = ["alice@example.com", "example.com", "carol@recipient.example", "bob@x.example", "x.example"]
    wanted = [MessageFilter(address=one, limit=limit) for one in people for limit in (2, 50)]
    both = MessageFilter(sender="alice@example.com", recipient="x.example")
    return [found(engine, one) for one in [*wanted, both, MessageFilter(message_id="3@client.example")]]


@pytest.mark.usefixtures("short_steps")
def test_what_is_found_is_the_same_before_after_and_between_the_steps_of_sorting_in(engine: Engine) -> None:
    _mixed(engine)
    before = _searched(engine)
    assert before[:4] == [[6, 5], [6, 5, 4, 3, 2, 1], [6, 5], [6, 5, 4, 3, 2, 1]]
    assert before[-2:] == [[4, 2], [3]]
    during = list[list[list[int]]]()
    for step in _steps(engine):
        with write(engine) as conn:
            apply(conn, [step])
        during.append(_searched(engine))
    assert len(during) > 5
    assert [one for one in during if one != before] == []
    assert (_fresh(engine), _index(engine)) == (0, _keys_on_record(engine))


@pytest.mark.usefixtures("short_steps")
def test_after_a_crash_at_any_step_all_is_sorted_in_all_the_same(engine: Engine) -> None:
    _mixed(engine)
    before = _searched(engine)
    for steps in range(1, len(_steps(engine))):
        asyncio.run(sort_in(engine, crash_after=steps))
        assert _searched(engine) == before
        assert _fresh(engine) > 0
        asyncio.run(sort_in(engine))
        assert _searched(engine) == before
        assert (_fresh(engine), _index(engine)) == (0, _keys_on_record(engine))
        with write(engine) as conn:
            for table in (search_key, fact):
                conn.execute(table.delete())
        _mixed(engine)


def test_what_comes_while_others_are_sorted_in_stays_fresh(engine: Engine) -> None:
    """Also one whose id is lower than theirs, which took longer to come."""
    with write(engine) as conn:
        message_log.add(conn, [accepted(number) for number in (1, 2, 4)])
    steps = _steps(engine)
    with write(engine) as conn:
        message_log.add(conn, [accepted(3), accepted(5)])
        apply(conn, steps)
    assert _fresh(engine) == 2
    assert found(engine, MessageFilter(sender="alice@example.com")) == [5, 4, 3, 2, 1]


def test_steps_are_short_and_in_the_order_of_the_index(engine: Engine) -> None:
    """A message with many recipients is in several of them, and fresh until the last of its keys is sorted in."""
    people = [f"{number * 7919 % 1000:03}@{number % 3}.example" for number in range(600)]
    with write(engine) as conn:
        message_log.add(conn, [accepted(1, "alice@example.com", *people), *(accepted(n) for n in range(2, 303))])
    steps = _steps(engine)
    rows = [row for step in steps for row in step.rows]
    assert rows == sorted(_keys_on_record(engine))
    assert max(len(step.rows) for step in steps) == search_keys.AT_ONCE
    assert [message for step in steps[-1:] for message in step.messages] == list(range(1, 303))
    assert [step.messages for step in steps if step.rows] == [()] * (len(steps) - 1)


def test_no_more_is_sorted_in_together_than_memory_and_time_are_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_keys, "TOGETHER", 10)
    with write(engine) as conn:
        message_log.add(conn, [accepted(number) for number in range(1, 6)])  # three keys each
    taken = asyncio.run(search_keys.oldest(engine))
    assert (taken.messages, taken.is_more) == ([1, 2, 3, 4], True)
    asyncio.run(sort_in(engine))
    taken = asyncio.run(search_keys.oldest(engine))
    assert (taken.messages, taken.is_more) == ([5], False)


async def test_the_server_sorts_in_all_there_is_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In as many goes as it takes, without a pause between them."""
    monkeypatch.setattr(search_keys, "TOGETHER", 10)
    with write(engine) as conn:
        message_log.add(conn, [accepted(number) for number in range(1, 40)])
    commits = GroupCommit(engine)
    sorting = asyncio.create_task(search_keys.sort_in(engine, commits))
    async with asyncio.timeout(5 * search_keys.EVERY):  # with pauses it would take nine
        while await asyncio.to_thread(_fresh, engine):
            await asyncio.sleep(0.01)
    sorting.cancel()
    await commits.close()
    assert _index(engine) == _keys_on_record(engine)


def test_of_two_nodes_one_sorts_in_and_none_waits_for_the_other(new_postgresql: Callable[..., str]) -> None:
    engine = open_engine(new_postgresql())
    _mixed(engine)
    first, second = _steps(engine), _steps(engine)
    with write(engine) as one, write(engine) as other:
        assert apply(one, first[:1]) == [True]
        assert apply(other, second) == [False] * len(second)
    with write(engine) as other:
        assert apply(other, second) == [True] * len(second)
    assert (_fresh(engine), _index(engine)) == (0, _keys_on_record(engine))
    engine.dispose()


def _mixed(engine: Engine) -> None:
    with write(engine) as conn:
        for number in range(1, 7):
            also = ["bob@x.example"] if number in (2, 4) else []
            message_log.add(conn, [accepted(number, "alice@example.com", "carol@recipient.example", *also)])


def _steps(engine: Engine) -> list[search_keys.SortIn]:
    return list(asyncio.run(search_keys.oldest(engine)).steps())


def _index(engine: Engine) -> set[tuple[Any, ...]]:
    with read(engine) as conn:
        return {tuple(row) for row in conn.execute(select(search_key))}


def _keys_on_record(engine: Engine) -> set[tuple[Any, ...]]:
    with read(engine) as conn:
        told = [one.event for one in message_log.search(conn, MessageFilter(limit=1000))]
    return {(*key, one.message_id) for one in told for key in search_keys.sorted_in_as(search_keys.keys_of(one))}


def test_what_is_fresh_is_found_by_its_whole_key_alone(engine: Engine) -> None:
    people = ['"b,"@x.example', "b%_@x.example", "B@sub.x.example", "\\b@y.example"]
    asked = [*people, "b@x.example", 'b,"@x.example', "%_@x.example", "b%@x.example", "x.example", "y.example", "le"]
    with write(engine) as conn:
        message_log.add(conn, [accepted(number, "", one) for number, one in enumerate(people)])
    fresh = {one: found(engine, MessageFilter(recipient=one)) for one in asked}
    asyncio.run(sort_in(engine))
    assert fresh == {one: found(engine, MessageFilter(recipient=one)) for one in asked}
    assert [fresh[one] for one in people] == [[0], [1], [2], [3]]
    assert fresh["x.example"] == [1, 0]


def test_a_message_id_without_a_domain_is_found_alike(engine: Engine) -> None:
    ids = ["<client.example>", "<client>", "<x@client>"]
    with write(engine) as conn:
        for number, one in enumerate(ids):
            told = accepted(number)
            message_log.add(conn, [replace(told, detail=told.detail | {"message_id": one})])
    fresh = {one: found(engine, MessageFilter(message_id=one)) for one in ids}
    assert fresh == {one: [number] for number, one in enumerate(ids)}
    asyncio.run(sort_in(engine))
    assert fresh == {one: found(engine, MessageFilter(message_id=one)) for one in ids}


def _fresh(engine: Engine) -> int:
    """How many messages' keys are not sorted in."""
    with read(engine) as conn:
        return conn.scalar(select(func.count()).select_from(fresh_search_keys)) or 0


def _plans(engine: Engine, wanted: MessageFilter) -> str:
    """Of all statements of a search; on PostgreSQL without the planner's liking for whole reads of small tables."""
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    asked = list[tuple[str, Any]]()
    with read(engine) as conn:
        event.listen(conn, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        list(message_log.search(conn, wanted))
    with read(engine) as conn:
        if engine.dialect.name != "sqlite":
            conn.execute(text("SET LOCAL enable_seqscan = off"))
        lines = [row[-1] for query, given in asked for row in conn.exec_driver_sql(explain + query, given)]
    return "\n".join(lines) + "\n"


def test_messages_of_a_former_release_are_found(new_database: Callable[..., str]) -> None:
    engine = open_engine(new_database(migrated=False))
    config = schema._config()
    with write(engine) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0003")
        for event in (accepted(1), events.refused(accepted(2, "alice@Bücher.example", "Bob@X.example"), "550 no")):
            detail = json.dumps(event.detail)
            conn.execute(fact.insert().values(message_id=event.message_id, at=event.at, kind=event.kind, detail=detail))
    migrate(engine)
    assert _index(engine) == _keys_on_record(engine)
    assert found(engine, MessageFilter(sender="bücher.example", recipient="bob@x.example")) == [2]
    engine.dispose()
