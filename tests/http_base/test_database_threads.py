"""The threads for the database: few, with a bounded number of calls that wait for them."""

import asyncio
import threading

import pytest
import structlog

from outgate.http.database_threads import DatabaseThreads
from outgate.store.engine import StoreUnavailable


async def test_too_many_calls_are_refused_and_later_ones_are_not() -> None:
    threads, go = DatabaseThreads(threads=1, waiting=2), threading.Event()
    calls = [asyncio.create_task(threads.run(go.wait, 30)) for _ in range(3)]
    await asyncio.sleep(0)  # they begin
    with pytest.raises(StoreUnavailable, match="too many requests wait"):
        await threads.run(go.is_set)
    go.set()
    assert await asyncio.gather(*calls) == [True] * 3
    async with asyncio.timeout(10):
        while True:
            try:
                assert await threads.run(go.is_set)
                break
            except StoreUnavailable:
                await asyncio.sleep(0)
    await threads.close()


async def test_a_call_that_nobody_waits_for_any_more_keeps_its_thread_and_its_place() -> None:
    threads, began, go = DatabaseThreads(threads=1, waiting=0), threading.Event(), threading.Event()

    def hold() -> None:
        began.set()
        go.wait(30)

    call = asyncio.create_task(threads.run(hold))
    await asyncio.to_thread(began.wait, 30)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(StoreUnavailable):
        await threads.run(began.is_set)
    go.set()
    await threads.close()


async def test_log_lines_of_a_thread_know_the_request() -> None:
    threads = DatabaseThreads()
    with structlog.contextvars.bound_contextvars(request="r1"):
        assert await threads.run(structlog.contextvars.get_contextvars) == {"request": "r1"}
    await threads.close()


async def test_what_a_call_raises_reaches_its_caller() -> None:
    threads = DatabaseThreads()
    with pytest.raises(ValueError, match="invalid literal"):
        await threads.run(int, "x")
    await threads.close()
