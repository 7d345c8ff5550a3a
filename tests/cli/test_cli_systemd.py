"""The unit by which systemd runs the server, and what the server tells systemd."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from cli.program import Program
from outgate import systemd


def _values(unit: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))


def test_the_unit_runs_this_directory_as_its_user_and_lets_transactions_end(program: Program) -> None:
    (program.data / "outgate.toml").write_text("[delivery]\nstop_timeout = 90\n")
    found = _values(program.run("systemd-unit", "--user", "mail-out")["unit"])
    assert found["ExecStart"].endswith(f"/outgate --data {program.data} serve")
    assert (found["User"], found["Type"], found["ReadWritePaths"]) == ("mail-out", "notify", str(program.data))
    assert int(found["TimeoutStopSec"]) > 90
    assert found["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"


def test_maildirs_elsewhere_may_be_written_to(program: Program) -> None:
    (program.data / "outgate.toml").write_text("[local]\nmaildir = '/srv/mail'\n")
    assert _values(program.says("systemd-unit"))["ReadWritePaths"] == f"{program.data} /srv/mail"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_no_fault_in_the_unit(program: Program, tmp_path: Path) -> None:
    unit = tmp_path / "outgate.service"
    unit.write_text(program.says("systemd-unit", "--user", "root"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "outgate.service" not in done.stderr


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_by_its_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, abstract: bool) -> None:
    name = f"@outgate-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name[1:]}" if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        systemd.notify("READY=1")
        assert listening.recv(100) == b"READY=1"


def test_a_server_that_systemd_did_not_start_tells_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    systemd.notify("READY=1")


def test_the_shell_completes_commands(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--install-completion" in program.says("--help")
