"""What is older than is kept goes, in small batches, and nothing else: messages, audit entries, counts by the hour."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from outgate.directory import organisation
from outgate.record import audit_trail, message_log, search_keys
from outgate.record.audit_trail import TAMPERED, AuditEntry, AuditFilter, BrokenTrail, let_go
from outgate.record.message_log import MessageFilter
from outgate.record.retention import Kept, Retention, remove_messages
from outgate.store import rotation, sealed
from outgate.store.batch import apply
from outgate.store.engine import open_engine, read, write
from outgate.store.tables import audit, fact, fresh_search_keys, search_key
from outgate.store.tables import usage as usage_table
from outgate.store.vault import Vault
from outgate.submit import usage
from outgate.submit.usage import CountMessage
from record.recorded import accepted, found, sort_in

DAY = 86400.0


def messages(days: float) -> list[Kept]:
    return [Kept("messages", days * DAY, remove_messages)]


# --- messages --------------------------------------------------------------------------------------------------------


async def test_only_what_is_too_old_and_waits_no_more_is_removed_with_its_keys(logged: Engine) -> None:
    await sort_in(logged)
    with write(logged) as conn:
        message_log.add(conn, [accepted(9, at=10 * DAY)])
    await Retention(logged, messages(5), lambda: 11 * DAY).tidy(pause=0)
    assert found(logged, MessageFilter()) == [9, 2]
    with read(logged) as conn:
        assert set(conn.scalars(select(search_key.c.message_id))) == {2}
        assert set(conn.scalars(select(fresh_search_keys.c.message_id))) == {9}
        assert set(conn.scalars(select(fact.c.message_id))) == {9, 2}


async def test_what_is_too_old_and_not_sorted_in_yet_goes_when_it_is(engine: Engine) -> None:
    with write(engine) as conn:
        message_log.add(conn, [accepted(number) for number in range(1, 400)])
    steps = list((await search_keys.oldest(engine)).steps())
    with write(engine) as conn:
        apply(conn, steps[:2])
    with write(engine) as conn:
        assert remove_messages(conn, 100.0, 400) == 0
    for step in steps[2:]:
        with write(engine) as conn:
            apply(conn, [step])
    with write(engine) as conn:
        assert remove_messages(conn, 100.0, 400) == 99
    with read(engine) as conn:
        assert set(conn.scalars(select(search_key.c.message_id))) == set(range(100, 400))
        assert not conn.scalar(select(func.count()).select_from(fresh_search_keys))


async def test_a_node_that_is_late_to_sort_in_adds_no_key_of_what_was_removed(
    new_postgresql: Callable[..., str],
) -> None:
    engine = open_engine(new_postgresql())
    with write(engine) as conn:
        message_log.add(conn, [accepted(1), accepted(2)])
    late = list((await search_keys.oldest(engine)).steps())
    await sort_in(engine)
    with write(engine) as conn:
        assert remove_messages(conn, 2.0, 400) == 1
    with write(engine) as conn:
        assert apply(conn, late) == [True] * len(late)
    with read(engine) as conn:
        assert set(conn.scalars(select(search_key.c.message_id))) == {2}
    engine.dispose()


async def test_who_removes_waits_for_a_step_of_another_node(new_postgresql: Callable[..., str]) -> None:
    engine = open_engine(new_postgresql())
    with write(engine) as conn:
        message_log.add(conn, [accepted(1)])
    removal = Retention(engine, messages(1), lambda: 11 * DAY)
    with write(engine) as conn:
        apply(conn, [*(await search_keys.oldest(engine)).steps()])
        removing = asyncio.create_task(removal.tidy(pause=0))
        await _waits_for_a_lock(engine)
    await removing
    with read(engine) as conn:
        assert not conn.scalar(select(func.count()).select_from(search_key))
    engine.dispose()


async def _waits_for_a_lock(engine: Engine) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with asyncio.timeout(10):
        while True:
            with read(engine) as conn:
                if conn.scalar(waiting):
                    return
            await asyncio.sleep(0.01)


async def test_a_batch_of_messages_is_no_larger_than_it_may_be(engine: Engine) -> None:
    with write(engine) as conn:
        message_log.add(conn, [accepted(number) for number in range(1, 8)])
    await sort_in(engine)
    with write(engine) as conn:
        assert [remove_messages(conn, 100.0, 3) for _ in range(4)] == [3, 3, 1, 0]


# --- the audit trail -------------------------------------------------------------------------------------------------


@dataclass
class Trail:
    """A trail with an entry each day, from day 1."""

    engine: Engine
    vault: Vault

    def add(self, *days: float, operation: str = "unit.create") -> None:
        with write(self.engine) as conn:
            entries = [AuditEntry(day * DAY, "root", "console", operation, detail={"faults": ["x"]}) for day in days]
            audit_trail.append(conn, self.vault, entries)

    def let_go(self, before: float, limit: int = 1000) -> int:
        with write(self.engine) as conn:
            return let_go(conn, self.vault, before * DAY, limit)

    def faults(self) -> list[str]:
        with read(self.engine) as conn:
            return audit_trail.verify(conn, self.vault)

    def numbers(self) -> list[int]:
        with read(self.engine) as conn:
            return [one.number for one in audit_trail.search(conn, AuditFilter(limit=1000))][::-1]

    def tamper(self, statement: str) -> None:
        """What somebody with the database's own rights can do."""
        with write(self.engine) as conn:
            if conn.dialect.name == "postgresql":
                conn.execute(text("SET LOCAL session_replication_role = replica"))
            else:
                for name in ("audit_no_update", "audit_no_delete"):
                    conn.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
            conn.execute(text(statement))


@pytest.fixture
def trail(engine: Engine, vault: Vault) -> Trail:
    """Nine entries."""
    with write(engine) as conn:
        organisation.create(conn, "example.com", 0.0)
        audit_trail.begin(conn, vault)
    made = Trail(engine, vault)
    made.add(*range(1, 10))
    return made


def test_a_trail_whose_oldest_entries_were_let_go_is_whole_and_goes_on(trail: Trail) -> None:
    assert trail.let_go(5) == 4
    assert (trail.numbers(), trail.faults()) == ([5, 6, 7, 8, 9], [])
    trail.add(10)
    assert (trail.numbers(), trail.faults()) == ([5, 6, 7, 8, 9, 10], [])
    assert trail.let_go(7) == 2
    assert (trail.numbers(), trail.faults()) == ([7, 8, 9, 10], [])


def test_a_batch_of_entries_is_no_larger_than_it_may_be(trail: Trail) -> None:
    assert [trail.let_go(8, 3) for _ in range(4)] == [3, 3, 1, 0]
    assert trail.faults() == []


def test_the_newest_entry_stays_whatever_its_age(trail: Trail) -> None:
    assert trail.let_go(1000) == 8
    assert (trail.numbers(), trail.faults()) == ([9], [])


def test_an_entry_behind_a_newer_one_waits_for_it(trail: Trail) -> None:
    """A clock that was set back for a while leaves no hole."""
    trail.add(2, 20)
    assert trail.let_go(9) == 8
    assert trail.numbers() == [9, 10, 11]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM audit WHERE id = 5", "entries 5 to 5 are missing"),
        ("DELETE FROM audit WHERE id <= 7", "entries 5 to 7 are missing"),
        ("UPDATE audit SET actor = 'mallory' WHERE id = 5", "entry 5 was changed"),
        ("UPDATE organisation SET audit_anchor = NULL", "entries 1 to 4 are missing"),
        ("UPDATE organisation SET audit_anchor = audit_head", "the seal of where the trail begins was changed"),
        ("UPDATE organisation SET audit_let_go = 9", ""),
    ],
)
def test_tampering_shows_in_a_trail_that_begins_later(trail: Trail, statement: str, fault: str) -> None:
    trail.let_go(5)
    trail.tamper(statement)
    assert any(fault in one for one in trail.faults()) if fault else trail.faults() == []
    trail.add(10)
    assert any(fault in one for one in trail.faults()) if fault else trail.faults() == []


def test_a_former_anchor_put_back_shows(trail: Trail) -> None:
    trail.let_go(3)
    with read(trail.engine) as conn:
        former = conn.scalar(text("SELECT audit_anchor FROM organisation"))
    trail.let_go(6)
    with write(trail.engine) as conn:
        conn.execute(text("UPDATE organisation SET audit_anchor = :former"), {"former": former})
    assert "entries 3 to 5 are missing" in trail.faults()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'mallory' WHERE id = 2",
        "DELETE FROM audit WHERE id = 1",
        "UPDATE organisation SET audit_key = NULL",
        "UPDATE organisation SET audit_anchor = audit_head",
    ],
)
def test_what_was_tampered_with_is_not_let_go(trail: Trail, statement: str) -> None:
    trail.tamper(statement)
    before = trail.numbers()
    with pytest.raises(BrokenTrail):
        trail.let_go(8)
    assert trail.numbers() == before


def test_what_tells_of_tampering_is_not_let_go(trail: Trail) -> None:
    trail.add(10, operation=TAMPERED)
    trail.add(11, 12)
    assert trail.let_go(1000) == 9
    assert trail.let_go(1000) == 0
    assert trail.numbers() == [10, 11, 12]


def test_only_what_was_let_go_may_be_deleted(trail: Trail) -> None:
    trail.let_go(3)
    for statement in ("DELETE FROM audit WHERE id = 3", "DELETE FROM audit", "UPDATE audit SET actor = 'x'"):
        with pytest.raises(DBAPIError, match="append-only"), write(trail.engine) as conn:
            conn.execute(text(statement))


def test_the_anchor_is_sealed_anew_with_the_vaults_new_key(trail: Trail) -> None:
    trail.let_go(5)
    newer = Vault({"k1": bytes(range(32)), "k2": bytes(32)}, "k2")
    rotation._reseal(trail.engine, newer)
    with read(trail.engine) as conn:
        assert sealed.count_by_key(conn) == {"k2": 3}
        assert audit_trail.verify(conn, Vault({"k2": bytes(32)}, "k2")) == []


# --- what was sent ---------------------------------------------------------------------------------------------------


def test_counts_of_hours_go_in_batches_the_oldest_first(engine: Engine) -> None:
    with write(engine) as conn:
        apply(conn, [CountMessage(account, hour * 3600.0, 1) for hour in range(5) for account in (7, 8, 9)])
        assert [usage.forget(conn, 3 * 3600.0, 4) for _ in range(4)] == [4, 4, 1, 0]
        assert set(conn.scalars(select(usage_table.c.hour))) == {3, 4}


# --- all -------------------------------------------------------------------------------------------------------------


def _fails(_connection: Connection, _before: float, _limit: int) -> int:
    raise RuntimeError("broken")


async def test_what_can_not_be_removed_of_one_kind_is_logged_and_stops_no_other(logged: Engine) -> None:
    await sort_in(logged)
    with capture_logs() as lines:
        await Retention(logged, [Kept("audit", DAY, _fails), *messages(1)], lambda: 11 * DAY).tidy(pause=0)
    assert [(line["kind"], line["error"]) for line in lines] == [("audit", "broken")]
    assert found(logged, MessageFilter()) == [2]


async def test_all_that_is_too_old_goes_however_many_batches_it_takes(trail: Trail) -> None:
    trail.add(*[10 + number / 1000 for number in range(500)])

    def remove(conn: Connection, before: float, limit: int) -> int:
        return let_go(conn, trail.vault, before, limit)

    await Retention(trail.engine, [Kept("audit", DAY, remove)], lambda: 100 * DAY).tidy(pause=0)
    with read(trail.engine) as conn:
        assert conn.scalar(select(func.count()).select_from(audit)) == 1
    assert trail.faults() == []


async def test_a_new_sqlite_file_shrinks_when_what_is_old_goes(new_sqlite: Callable[..., str]) -> None:
    engine = open_engine(new_sqlite())
    recipients: Sequence[str] = ["x" * 60 + "@y.example"] * 50
    with write(engine) as conn:
        message_log.add(conn, [accepted(number, "alice@example.com", *recipients) for number in range(1, 600)])
    await sort_in(engine)
    before = _pages(engine)
    await Retention(engine, messages(1), lambda: 2 * DAY).tidy(pause=0)
    assert _pages(engine) < before / 3
    engine.dispose()


async def test_space_is_given_back_many_pages_in_a_step(
    new_sqlite: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page a step would take days for what a year leaves."""
    engine = open_engine(new_sqlite())
    recipients: Sequence[str] = ["x" * 60 + "@y.example"] * 50
    with write(engine) as conn:
        message_log.add(conn, [accepted(number, "alice@example.com", *recipients) for number in range(1, 600)])
    steps = 0
    give_back = Retention._give_back

    def counted(self: Retention) -> bool:
        nonlocal steps
        steps += 1
        return give_back(self)

    monkeypatch.setattr(Retention, "_give_back", counted)
    await sort_in(engine)
    before = _pages(engine)
    await Retention(engine, messages(1), lambda: 2 * DAY).tidy(pause=0)
    assert before - _pages(engine) > 200
    assert steps < 10
    engine.dispose()


def _pages(engine: Engine) -> int:
    with read(engine) as conn:
        return int(conn.exec_driver_sql("PRAGMA page_count").scalar_one())
