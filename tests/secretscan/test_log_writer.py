"""The log is written by whoever has the time to; what can't be written is counted and dropped."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator

import pytest
import structlog

from outgate import log_lines
from outgate.log_lines import LogWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """As small as a pipe can be: 4 KiB."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(writing)
    os.close(reading)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines were said to be dropped."""
    said: list[int] = []

    class Log:
        def warning(self, _: str, *, lines: int) -> None:
            said.append(lines)

    monkeypatch.setattr(log_lines, "_log", Log())
    return said


def _read(descriptor: int, lines: int) -> list[str]:
    found = b""
    while found.count(b"\n") < lines:
        found += os.read(descriptor, 65536)
    return found.decode().splitlines()


def test_lines_come_in_their_order_from_any_thread(pipe: tuple[int, int]) -> None:
    writer = LogWriter(pipe[1])
    for number in range(5):
        thread = threading.Thread(target=writer.info, args=(str(number),))
        thread.start()
        thread.join()
    writer.flush()
    assert _read(pipe[0], 5) == ["0", "1", "2", "3", "4"]


def test_who_logs_does_not_wait_for_who_reads_and_what_is_too_much_is_counted(
    pipe: tuple[int, int], told: list[int]
) -> None:
    writer = LogWriter(pipe[1], waiting=100)
    began = time.monotonic()
    for number in range(5000):
        writer.info(f"{number} {'x' * 200}")
    writer.flush(seconds=0.1)
    assert time.monotonic() - began < 5
    kept = _read(pipe[0], 100)
    writer.flush()
    assert kept[0].startswith("0 ")
    assert 5000 - 800 < sum(told) < 5000


def test_a_pipe_that_nobody_reads_any_more_is_no_fault_of_who_logs(told: list[int]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LogWriter(writing)
    writer.error("lost")
    writer.flush()
    os.close(writing)
    assert told == []


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    writer = LogWriter(pipe[1])
    for number in range(100):
        writer.info(f"{number} {'x' * 200}")
    assert len(_read(pipe[0], 100)) == 100


def test_a_forked_process_writes_its_own_lines_and_not_those_before_it(pipe: tuple[int, int]) -> None:
    writer = LogWriter(pipe[1])
    writer.info("parent")
    writer.flush()
    pid = os.fork()
    if pid == 0:
        writer.info("child")
        writer.flush()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert _read(pipe[0], 2) == ["parent", "child"]


def test_what_libraries_log_is_a_line_like_others(capfd: pytest.CaptureFixture[str]) -> None:
    before, handlers = structlog.get_config(), logging.getLogger().handlers
    lines = log_lines.configure("text")
    try:
        logging.getLogger("somebody").warning("said \x1b[2J%s", "x")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers = handlers
    lines.flush()
    assert "warning  said \\x1b[2Jx" in capfd.readouterr().err
