"""A data directory as `outgate init` makes it, with alice and bob; made once and copied for each test."""

import os
import shutil
from pathlib import Path

import pytest

from cli.program import PASSWORD, Program

_FOR_TESTS = (
    *("--set", "submission.address=127.0.0.1"),
    *("--set", "submission.starttls_port=0"),
    *("--set", "submission.tls_port=0"),
    *("--set", "log_in.scram_iterations=4096"),
    *("--set", "delivery.connect_timeout=5"),
    *("--set", 'egress.allowed_networks={loopback = "127.0.0.0/8"}'),
    *("--set", "egress.ports=[]"),
)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never used itself, only copied."""
    program = Program(tmp_path_factory.mktemp("made") / "data")
    program.run("init", "example.com", "--hostname", "mail.example.com", *_FOR_TESTS)
    for name in ("alice", "bob"):
        program.run("user", "add", f"{name}@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    return program.data


@pytest.fixture
def program(made: Path, tmp_path: Path) -> Program:
    """The program on a directory of the test's own."""
    shutil.copytree(made, tmp_path / "data")
    return Program(tmp_path / "data")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OUTGATE_")]:
        monkeypatch.delenv(name)
