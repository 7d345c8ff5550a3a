"""What processes have counted is told together, each with its label."""

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from outgate.printable import printable
from outgate.record import events, metrics
from outgate.record.metrics import STALE, Snapshot, exposition

NAME = "outgate_messages_accepted"


def _samples(text: bytes) -> dict[str, float]:
    families = [one for one in text_string_to_metric_families(text.decode()) if one.name == NAME]
    assert len(families) <= 1
    return {sample.labels["process"]: sample.value for one in families for sample in one.samples}


def test_each_process_is_told_of_with_its_label(tmp_path: Path) -> None:
    folder = tmp_path / metrics.FOLDER
    Snapshot(folder, 0).write()
    events._ACCEPTED.inc()
    Snapshot(folder, 1).write()
    now = (folder / "1.prom").stat().st_mtime
    told = _samples(exposition(folder, now))
    assert told["1"] == told["0"] + 1


def test_a_process_that_ended_or_no_longer_writes_is_not_told_of(tmp_path: Path) -> None:
    for number in (0, 1, 2):
        Snapshot(tmp_path, number).write()
    Snapshot(tmp_path, 1).remove()
    now = (tmp_path / "0.prom").stat().st_mtime
    os.utime(tmp_path / "2.prom", (now - STALE - 1,) * 2)
    assert set(_samples(exposition(tmp_path, now))) == {"0"}


def test_without_a_server_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert exposition(tmp_path / "none", 0.0) == b""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 'quoted'", "plain é 漢 'quoted'"),
        ("\x1b[2J\r\n\t\x00", "\\x1b[2J\\r\\n\\t\\x00"),
        ("a\u202eb\u2028c\x9b", "a\\u202eb\\u2028c\\x9b"),
        ("\udc80", "\\udc80"),
        ("", ""),
    ],
)
def test_text_from_outside_is_made_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_text_is_cut_before_it_is_escaped() -> None:
    assert printable("\x1b" * 9, 2) == "\\x1b\\x1b…"
