"""The lab leaves nothing behind: not after an error, and what a killed run left is gone after the next."""

import subprocess
import sys
from pathlib import Path

import pytest
from lab.namespaces import Network
from lab.plan import CLIENT_HOST
from lab.polling import wait_for

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
# A run that is killed while a server of it ignores the polite signal; it prints the name of its folder before.
KILLED = """
import os, signal
from lab.namespaces import Network
from lab.plan import CLIENT_HOST

with Network() as network:
    client = network.add("client", CLIENT_HOST)
    ready = client.folder / "ready"
    client.start("sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 1; done", ready=ready.exists)
    client.wait_until_ready()
    print(network.folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def traces(folder: Path) -> list[str]:
    """What there is of a run: its folder, resolver files, namespaces and, by their names, processes."""
    files = [str(path) for path in (folder, *Path("/etc/netns").glob(f"{folder.name}*")) if path.exists()]
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return files + [line for line in listed.splitlines() if line.startswith(folder.name)]


def processes(folder: Path) -> str:
    """The ids of the processes in the client's namespace of a run."""
    command = ["ip", "netns", "pids", f"{folder.name}-client"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_run_that_fails_leaves_nothing() -> None:
    network = Network()

    def fail() -> None:
        with network:
            network.add("client", CLIENT_HOST).start("sleep", "1000", ready=lambda: True)
            assert len(traces(network.folder)) == 4  # the folder, resolver files, the bridge, the client
            raise RuntimeError("a part of the lab does not start")

    with pytest.raises(RuntimeError, match="a part of the lab"):
        fail()
    assert traces(network.folder) == []


def test_the_next_run_removes_what_a_killed_one_left() -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, capture_output=True, text=True, check=False)
    folder = Path(killed.stdout.strip())
    assert traces(folder), killed.stderr
    with Network():
        assert traces(folder) == []


def test_the_servers_of_a_killed_run_end_with_it() -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, capture_output=True, text=True, check=False)
    folder = Path(killed.stdout.strip())
    wait_for("the end of its processes", lambda: not processes(folder), seconds=5)
    with Network():  # takes away the rest
        pass


def test_two_runs_at_once_do_not_meet() -> None:
    with Network() as one, Network() as other:
        for network in (one, other):
            network.add("client", CLIENT_HOST)
        assert traces(one.folder)
        assert traces(other.folder)
        assert one.folder != other.folder
