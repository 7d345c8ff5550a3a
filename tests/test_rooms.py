"""Imports fall one way (docs/how-it-works.md): which rooms may know which; and a name stands for one thing."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "outgate"
# What each room may import of the others. Who is not here may import everything (wiring, cli, commands).
ALLOWED = {
    "mail": set(),
    "smtp": set(),
    "clock": set(),
    "iso_time": set(),
    "config": {"setting_fault"},
    "setting_fault": set(),
    "extras": set(),
    "secret_file": set(),
    "printable": set(),
    "log_lines": {"printable", "clock"},
    "model": set(),
    "authorise": {"model", "mail"},
    "compliance": {"model", "mail"},
    "route": {"model"},
    "store": {"clock", "printable"},
    "directory": {"model", "mail", "printable", "setting_fault", "smtp", "store"},
    "sendas": {"model", "route", "mail", "directory", "store"},
    "record": {"mail", "printable", "store", "iso_time"},
    "secretscan": {"extras", "store"},
    "queue": {"model", "mail", "route", "record", "store"},
    # Of smtp only what checks a content, of store only the exception.
    "submit": {"compliance", "model", "authorise", "route", "mail", "smtp", "queue", "record", "store"},
    "egress": {"mail", "config", "clock"},
    "advisor": {"model", "route", "mail", "config", "clock", "egress", "extras"},
    "mail_program": {"config", "directory", "model"},  # of directory only the form of DNS records
    "discovery": {"model", "mail", "config", "clock", "egress"},
    "oauth": {
        *("model", "mail", "directory", "sendas", "store", "queue", "submit", "config", "egress", "printable", "route"),
        "setting_fault",
    },
    "openid": {"mail", "directory", "sendas", "oauth", "egress", "config"},
    "domain_watch": {"advisor", "directory", "sendas", "store"},
    "key_look": {"advisor", "directory"},
    "key_watch": {"advisor", "directory", "key_look", "operations", "store"},
    "transport_security": {"mail", "egress", "store", "remembered"},
    # Of queue only its ids.
    "webhooks": {
        *("directory", "sendas", "record", "store", "model", "queue", "egress", "iso_time", "printable"),
    },
    "tls_reports": {
        *("transport_security", "egress", "store", "directory", "queue", "submit", "model", "mail", "printable"),
    },
    "accept": {
        *("submit", "model", "authorise", "mail", "smtp", "directory", "queue", "store"),
        *("config", "clock", "extras", "peer", "peer_limit", "tcp_listener", "openid"),
    },
    "deliver": {
        *("compliance", "submit", "model", "authorise", "route", "mail", "smtp", "directory", "queue", "record"),
        *("store", "config", "clock", "egress", "supervision", "node_id", "printable"),
        *("transport_security", "oauth", "watchdog"),
    },
    "operations": {
        *("submit", "model", "authorise", "route", "mail", "directory", "sendas", "queue", "record", "store"),
        *("mailbox", "writing", "secretscan", "clock", "tls_reports", "webhooks", "iso_time"),
    },
    "ldap": {"mail", "smtp", "directory", "config", "extras", "secret_file"},
    "http": {"store", "config", "clock", "peer", "peer_limit", "tcp_listener"},
    "remembered": set(),
    "mailbox": {"mail", "model", "printable", "config", "extras", "remembered"},
    "writing": {"mail", "mailbox", "directory", "store"},
    # Of accept only the authenticator, of deliver only the probe, of queue only its ids and what administrators select.
    "web": {
        *("http", "operations", "directory", "sendas", "store", "accept", "config", "model", "route", "mail"),
        *("deliver", "discovery", "advisor", "mailbox", "queue", "record", "writing", "extras", "oauth"),
        "openid",
        "key_look",
        "mail_program",
        "printable",
        "webhooks",
        "egress",
        *("tls_reports", "transport_security"),
    },
    # Of deliver only the probe, of mailbox how letters are read.
    "api": {
        *("http", "operations", "directory", "sendas", "store", "config", "model", "route", "mail", "deliver"),
        *("record", "queue", "submit", "mailbox", "writing", "iso_time", "remembered", "advisor", "extras"),
        *("webhooks", "egress", "tls_reports", "transport_security"),
    },
    # Of api whose request it is, its scopes and rates.
    "jmap": {
        *("api", "http", "operations", "directory", "writing", "mailbox", "mail", "model", "authorise", "config"),
        *("queue", "iso_time"),
    },
    # Of api only what it has of the installation, and its quota.
    "scim": {"api", "http", "operations", "directory", "store", "extras"},
    "node_id": set(),
    "open_files": set(),
    "peer": set(),
    "peer_limit": set(),
    "tcp_listener": {"peer", "peer_limit"},
    "supervision": set(),
    "systemd": set(),
    "watchdog": set(),
    "demo": {"clock", "extras", "printable"},
}
NO_SOCKETS = (
    "mail",
    "writing",
    "smtp",
    "store",
    "directory",
    "sendas",
    "record",
    "queue",
    "compliance",
    "submit",
    "operations",
    "mail_program",
)
IMPURE = {"time", "asyncio", "os", "pathlib", "sqlalchemy", "threading"}
# Rooms with an event loop or a transaction at their edge, and what in them is pure.
PURE_PARTS = (
    *("compliance/journal_copy.py", "submit/decision.py", "submit/queue_entry.py", "submit/refusal.py"),
    *("submit/submission.py", "submit/whole_message.py"),
)


def _files(room: str) -> list[Path]:
    single = SOURCE / f"{room}.py"
    return [single] if single.exists() else sorted((SOURCE / room).rglob("*.py"))


@cache  # many questions are about the same files
def _imports(path: Path) -> frozenset[str]:
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return frozenset(found)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_those_it_may_know(room: str) -> None:
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith("__")} - {"frozen"}  # all make values
    for path in _files(room):
        known = {name.split(".")[1] for name in _imports(path) if name.startswith("outgate.")} & rooms
        assert known - {room} <= ALLOWED[room], f"{path.relative_to(SOURCE)} knows too much"


@pytest.mark.parametrize("room", NO_SOCKETS)
def test_rooms_behind_the_wire_know_no_socket(room: str) -> None:
    for path in _files(room):
        assert not {"socket", "ssl", "asyncio.start_server"} & _imports(path), path


@pytest.mark.parametrize("room", ["mail", "smtp", "model", "authorise", "route", "printable", "frozen"])
def test_pure_rooms_know_no_clock_and_do_no_io(room: str) -> None:
    for path in _files(room):
        assert not IMPURE & _imports(path), path


@pytest.mark.parametrize("part", PURE_PARTS)
def test_pure_parts_of_other_rooms_are_alike(part: str) -> None:
    assert not IMPURE & _imports(SOURCE / part)


def test_submit_and_compliance_know_no_clock_and_no_smtp_session() -> None:
    for path in (*_files("submit"), *_files("compliance")):
        engine = {name for name in _imports(path) if name.startswith("outgate.smtp")} - {
            *("outgate.smtp.content", "outgate.smtp.content.ContentCheck"),
        }
        assert not engine | {"outgate.clock", "time"} & _imports(path), path


def test_a_message_for_the_queue_is_made_in_one_place() -> None:
    """What is read back from the database is made by Message.from_row."""
    made = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Message"
    ]
    assert made == ["submit/queue_entry.py"]


def test_wall_time_is_known_only_to_the_clock() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.name != "clock.py" and "demo" not in path.parts:
            assert "time.time(" not in path.read_text(), path


def _private(module: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in module.split("."))


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_private_of_another_package_is_imported(path: Path) -> None:
    assert not {name for name in _imports(path) if not name.startswith("outgate.") and _private(name)}


def test_no_module_name_stands_for_two_things() -> None:
    assert not _twice((path.stem, path) for path in SOURCE.rglob("*.py") if path.name != "__init__.py")


def test_no_class_name_stands_for_two_things() -> None:
    assert not _twice(
        (node.name, path)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )


def _twice(named: Iterable[tuple[str, Path]]) -> dict[str, list[str]]:
    places = defaultdict(list)
    for name, path in named:
        places[name].append(str(path.relative_to(SOURCE)))
    return {name: found for name, found in places.items() if len(found) > 1}
