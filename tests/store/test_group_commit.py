"""Changes of many are committed together: who is waited for, and who is not."""

from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, Engine

from outgate.store import group_commit
from outgate.store.batch import Batch
from outgate.store.group_commit import GROWS, MANY, SOON, GroupCommit


class Nothing:
    """A change of nothing, which takes so many seconds by the clock."""

    weight = 0

    def __init__(self, clock: SimpleNamespace, takes: float = 0.0) -> None:
        self._clock, self._takes = clock, takes

    def add_to(self, batch: Batch) -> None:
        """There is nothing."""

    def answer(self, connection: Connection) -> None:
        """Nothing."""
        self._clock.now += self._takes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that a group commit sees, and how long it has waited."""
    made = SimpleNamespace(now=100.0, waits=[])
    seen = SimpleNamespace(monotonic=lambda: made.now, sleep=made.waits.append)
    monkeypatch.setattr(group_commit, "time", seen)
    return made


async def committed(commits: GroupCommit, *changes: Nothing) -> None:
    """These changes at once."""
    for asked in [commits.make(one) for one in changes]:
        await asked


async def test_a_group_grows_in_a_rush_and_only_then(engine: Engine, clock: SimpleNamespace) -> None:
    commits, few, many = GroupCommit(engine), [Nothing(clock)] * (MANY - 1), [Nothing(clock)] * MANY
    await committed(commits, *few)
    await committed(commits, *many)
    assert clock.waits == [], "nobody had come before them"
    await committed(commits, Nothing(clock))
    assert len(clock.waits) == 1
    await committed(commits, *many)
    assert len(clock.waits) == 1, "the one before was alone"
    clock.now += SOON
    await committed(commits, Nothing(clock))
    assert len(clock.waits) == 1, "the rush is over"
    await commits.close()


@pytest.mark.parametrize(("took", "waits"), [(GROWS / 2, GROWS / 2), (GROWS * 20, GROWS)])
async def test_a_group_grows_for_as_long_as_the_last_one_took_and_for_a_bound(
    engine: Engine, clock: SimpleNamespace, took: float, waits: float
) -> None:
    commits = GroupCommit(engine)
    await committed(commits, *[Nothing(clock, took / MANY)] * MANY)
    await committed(commits, Nothing(clock))
    assert clock.waits == [pytest.approx(waits)]
    await commits.close()
