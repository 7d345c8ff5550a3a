"""What is watched, and ended when it makes no step."""

import asyncio
from time import monotonic

import pytest
import structlog

from outgate.watchdog import Watchdog, Wedged, step


async def _wedged(watchdog: Watchdog, begun: asyncio.Event, forever: asyncio.Event) -> str:
    try:
        with watchdog.watch("work", "one", 10.0):
            begun.set()
            await forever.wait()
    except Wedged as error:
        return str(error)
    return "done"


async def test_a_step_puts_the_end_off_and_without_one_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    watchdog, forever, clock = Watchdog(), asyncio.Event(), [0.0]
    monkeypatch.setattr("outgate.watchdog.monotonic", lambda: monotonic() + clock[0])
    stepped, go = asyncio.Event(), asyncio.Event()

    async def works() -> str:
        with watchdog.watch("work", "one", 10.0):
            await go.wait()
            step()
            stepped.set()
            try:
                await forever.wait()
            except asyncio.CancelledError:
                return "ended"
        return "done"

    task = asyncio.create_task(works())
    await asyncio.sleep(0)
    clock[0] = 9.0
    go.set()
    await stepped.wait()
    watchdog.look(monotonic() + 18.0)
    assert not watchdog.wedged
    watchdog.look(monotonic() + 19.1)
    assert await task == "ended"
    assert (watchdog.wedged, task.cancelling()) == (1, 0)


async def test_who_stops_the_task_at_the_same_time_is_obeyed() -> None:
    watchdog, begun = Watchdog(), asyncio.Event()
    task = asyncio.create_task(_wedged(watchdog, begun, asyncio.Event()))
    await begun.wait()
    watchdog.look(monotonic() + 11)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_end_that_comes_with_the_last_step_leaves_nothing_behind() -> None:
    watchdog, begun, forever = Watchdog(), asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(_wedged(watchdog, begun, forever))
    await begun.wait()
    forever.set()
    watchdog.look(monotonic() + 11)
    assert await task == "one: no step for 10 seconds"
    watchdog.look(monotonic() + 100)
    assert watchdog.wedged == 1


async def test_what_does_not_end_when_it_is_told_to_is_told_of_again() -> None:
    watchdog, begun, released = Watchdog(), asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        with watchdog.watch("work", "one", 10.0):
            begun.set()
            while not released.is_set():
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    begun.set()

    task = asyncio.create_task(stubborn())
    now = monotonic()
    for ahead, times in ((11, 1), (12, 1), (22, 2)):
        await begun.wait()
        watchdog.look(now + ahead)
        assert watchdog.wedged == times
        await asyncio.sleep(0)
    released.set()
    watchdog.look(now + 40)
    await task
    assert task.cancelling() == 0


async def test_what_nobody_may_end_is_told_of_again_and_again_and_goes_on() -> None:
    watchdog, begun, done = Watchdog(), asyncio.Event(), asyncio.Event()

    async def commits() -> str:
        with watchdog.watch("work", "one", 10.0, ends=False):
            begun.set()
            await done.wait()
        return "committed"

    task = asyncio.create_task(commits())
    await begun.wait()
    now = monotonic()
    with structlog.testing.capture_logs() as log:
        for ahead in (11, 12, 22):
            watchdog.look(now + ahead)
    assert [one["event"] for one in log] == ["no step for longer than all deadlines: waited for"] * 2
    assert (watchdog.wedged, watchdog.wedged_at) == (2, now + 22)
    done.set()
    assert (await task, task.cancelling()) == ("committed", 0)
    watchdog.look(now + 100)
    assert watchdog.wedged == 2


async def test_only_a_task_is_watched() -> None:
    found: list[str] = []

    def outside() -> None:
        try:
            with Watchdog().watch("work", "one", 10.0):
                raise AssertionError
        except RuntimeError as error:
            found.append(str(error))
        done.set()

    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(outside)
    await done.wait()
    assert found == ["only tasks are watched"]
