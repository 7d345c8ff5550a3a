"""The benchmark's own checks: what is sent arrives as it was, and a wrong credential or an altered body is noticed."""

import asyncio
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from bench.__main__ import Measurement, SinkAlone, _drive, _faults, ratios
from bench.http_client import HttpResult, HttpSession
from bench.product import Work
from bench.scratch import Scratch, scratch
from bench.sink import Ledger
from bench.sink_process import SinkProcess

from bench import kept, population
from outgate import clock


@pytest.fixture
def place() -> Iterator[Scratch]:
    with scratch() as made:
        yield made


_INTERRUPTED = """
import signal
from bench.lines import write_line
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
write_line(list(range(200_000)))
"""


def test_a_long_result_comes_whole_though_output_is_unbuffered_and_signals_come() -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-c", _INTERRUPTED], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        select.select([process.stdout], [], [], 60)  # the pipe is full, or will be: nobody reads yet
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        assert json.loads(process.stdout.read()) == list(range(200_000))


def test_generator_and_sink_agree(place: Scratch) -> None:
    sink = SinkProcess(place, tls=True)
    work = Work("gateway", sink.port)
    result, report = _drive(place, sink, work, SinkAlone(sink.port), first=7, messages=60)
    assert (result["accepted"], report["arrived"], _faults(report), result["fault"]) == (60, 60, "", "")


def test_a_credential_of_somebody_else_fails_the_run(place: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = SinkProcess(place, tls=True)
    alice, bob = population.accounts()[:2]
    stolen = {"username": alice.senders[0].address, "password": alice.senders[0].password}
    monkeypatch.setattr("bench.__main__._at_the_sink", lambda _: {**stolen, "addresses": [bob.senders[0].address]})
    result, report = _drive(place, sink, Work("gateway", sink.port), SinkAlone(sink.port), first=0, messages=5)
    assert result["fault"]
    assert "wrong_credentials" in _faults(report)


def test_what_is_altered_doubled_or_strange_is_counted() -> None:
    ledger = Ledger(0, 3)
    sender = population.accounts()[0].senders[0].address
    good = population.content(0, sender).replace(b"\r\n..", b"\r\n.")
    ledger.take(good)
    ledger.take(good)
    ledger.take(population.content(1, sender).replace(b"\r\n..", b"\r\n.") + b"more")
    ledger.take(population.content(99, sender))
    report = ledger.report()
    names = ("arrived", "missing", "duplicates", "strangers", "altered")
    assert [report[name] for name in names] == [2, 1, 1, 1, 1]


@pytest.fixture
def kept_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kept, "KEPT", tmp_path)
    return tmp_path


def test_what_was_filled_is_used_for_a_day_by_a_program_of_its_tables(
    kept_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, folder = clock.now(), kept.folder_of("pages", "")
    assert kept.filled_at(folder) is None
    kept.stamp(folder, now)
    assert kept.filled_at(kept.folder_of("pages", "")) == now
    one, other = (kept.folder_of("pages", f"postgresql:///{name}") for name in ("one", "other"))
    kept.stamp(one, now)
    assert (kept.filled_at(one), kept.filled_at(other)) == (now, None)
    with monkeypatch.context() as migrated:
        migrated.setattr(kept, "SCHEMA", "9999")
        assert kept.filled_at(folder) is None
    assert kept.filled_at(folder) == now
    kept.stamp(folder, now - kept.AGE)
    assert kept.filled_at(folder) is None
    kept.clear(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("made", ["writable", "link"])
def test_a_folder_that_somebody_else_could_have_made_is_not_used(kept_in: Path, made: str) -> None:
    """Its links would lead what root writes elsewhere."""
    folder = kept.folder_of("pages", "")
    if made == "link":
        folder.rmdir()
        (kept_in / "theirs").mkdir(mode=0o700)
        folder.symlink_to("theirs")
    else:
        folder.chmod(0o770)
    with pytest.raises(SystemExit, match="not yours alone"):
        kept.folder_of("pages", "")


def test_a_folder_of_another_user_is_not_used(kept_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, me = kept.folder_of("pages", ""), os.geteuid()
    folder.rename(kept_in / folder.name.replace(f"-{me}-", f"-{me + 1}-"))
    monkeypatch.setattr("bench.kept.os.geteuid", lambda: me + 1)
    with pytest.raises(SystemExit, match="not yours alone"):
        kept.folder_of("pages", "")


def test_ratios_are_of_pairs_within_a_round() -> None:
    def one(product: str, number: int, rate: float) -> Measurement:
        return Measurement("gateway", product, number, 1, rate, rate, 0, 0, 0, "")

    found = [one("outgate", 0, 800), one("postfix", 0, 200), one("outgate", 1, 900), one("postfix", 1, 300)]
    assert ratios(found, "gateway", "postfix") == [4.0, 3.0]


async def test_an_answer_that_comes_in_pieces_is_counted_when_it_is_whole() -> None:
    result = HttpResult()
    session, transport = HttpSession(result), Mock(spec=asyncio.Transport)
    session.connection_made(transport)
    asking = asyncio.create_task(session.ask(b"GET / HTTP/1.1\r\n\r\n", time.monotonic()))
    await asyncio.sleep(0)
    for piece in (b"HTTP/1.1 429 Too", b" Many\r\nContent-Length: 4\r\n\r", b"\n{}"):
        session.data_received(piece)
        assert not result.statuses
    session.data_received(b"\r\n")
    assert await asking
    assert result.statuses == {"429": 1}
    asking = asyncio.create_task(session.ask(b"GET / HTTP/1.1\r\n\r\n", time.monotonic()))
    await asyncio.sleep(0)
    session.connection_lost(None)
    assert not await asking
    assert result.statuses == {"429": 1, "connection lost": 1}
