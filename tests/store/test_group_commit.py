"""Changes of many are committed together: who is waited for, and who is not."""

from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, Engine

from outgate.store import group_commit
from outgate.store.batch import Batch
from outgate.store.group_commit import GROWS, MANY, SOON, GroupCommit


class Nothing:
    """A change of nothing."""

    weight = 0

    def add_to(self, batch: Batch) -> None:
        """There is nothing."""

    def answer(self, connection: Connection) -> None:
        """Nothing."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that a group commit sees, and how long it has waited."""
    made = SimpleNamespace(now=100.0, waits=[])
    seen = SimpleNamespace(monotonic=lambda: made.now, sleep=made.waits.append)
    monkeypatch.setattr(group_commit, "time", seen)
    return made


async def committed(commits: GroupCommit, count: int) -> None:
    """So many changes at once."""
    for asked in [commits.make(Nothing()) for _ in range(count)]:
        await asked


async def test_a_group_grows_in_a_rush_and_only_then(engine: Engine, clock: SimpleNamespace) -> None:
    commits = GroupCommit(engine)
    await committed(commits, MANY - 1)
    await committed(commits, MANY)
    assert clock.waits == [], "nobody had come before them"
    await committed(commits, 1)
    assert clock.waits == [GROWS]
    await committed(commits, MANY)
    assert clock.waits == [GROWS], "the one before was alone"
    clock.now += SOON
    await committed(commits, 1)
    assert clock.waits == [GROWS], "the rush is over"
    await commits.close()
