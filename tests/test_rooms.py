"""Imports fall one way (docs/how-it-works.md): which rooms may know which."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "outgate"
# What each room may import of the others. Who is not here may import everything (wiring, cli, commands).
ALLOWED = {
    "mail": set(),
    "smtp": set(),
    "clock": set(),
    "config": set(),
    "printable": set(),
    "log_lines": {"printable"},
    "model": set(),
    "authorise": {"model"},
    "compliance": {"model", "mail"},
    "route": {"model"},
    "store": {"clock"},
    "directory": {"model", "mail", "smtp", "store"},
    "sendas": {"model", "route", "mail", "directory", "store"},
    "record": {"mail", "printable", "store"},
    "secretscan": {"store"},
    "queue": {"model", "mail", "route", "record", "store"},
    "egress": {"mail", "config", "clock"},
    "advisor": {"model", "route", "mail", "config", "clock", "egress"},
    "discovery": {"model", "mail", "config", "clock", "egress"},
    "accept": {
        *("compliance", "model", "authorise", "route", "mail", "smtp", "directory", "queue", "record", "store"),
        *("config", "clock", "peer"),
    },
    "deliver": {
        *("compliance", "model", "authorise", "route", "mail", "smtp", "directory", "queue", "record", "store"),
        *("config", "clock", "egress", "supervision"),
    },
    "operations": {"model", "route", "mail", "directory", "sendas", "queue", "record", "store", "clock"},
    "ldap": {"mail", "smtp", "directory", "config"},
    "web": {"mail", "directory", "sendas", "operations", "store", "config", "clock", "peer"},
    "peer": set(),
    "supervision": set(),
    "demo": {"clock"},
}
NO_SOCKETS = ("mail", "smtp", "store", "directory", "sendas", "record", "queue", "operations")


def _files(room: str) -> list[Path]:
    single = SOURCE / f"{room}.py"
    return [single] if single.exists() else sorted((SOURCE / room).rglob("*.py"))


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_those_it_may_know(room: str) -> None:
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith("__")}
    for path in _files(room):
        known = {name.split(".")[1] for name in _imports(path) if name.startswith("outgate.")} & rooms
        assert known - {room} <= ALLOWED[room], f"{path.relative_to(SOURCE)} knows too much"


@pytest.mark.parametrize("room", NO_SOCKETS)
def test_rooms_behind_the_wire_know_no_socket(room: str) -> None:
    for path in _files(room):
        assert not {"socket", "ssl", "asyncio.start_server"} & _imports(path), path


@pytest.mark.parametrize("room", ["mail", "smtp", "model", "authorise", "route", "printable"])
def test_pure_rooms_know_no_clock_and_do_no_io(room: str) -> None:
    for path in _files(room):
        assert not {"time", "asyncio", "os", "pathlib", "sqlalchemy", "threading"} & _imports(path), path


def test_wall_time_is_known_only_to_the_clock() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.name != "clock.py" and "demo" not in path.parts:
            assert "time.time(" not in path.read_text(), path
