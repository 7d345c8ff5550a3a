"""Network namespaces on one bridge, each with an address and a resolver of its own. Knows no mail.

Everything of one run bears the name of its folder, `/tmp/outgate-lab-*`, so that runs don't meet. The folder is locked
while the run lives; what a killed run left behind has no lock, and the next run takes it away. There is no route out:
no packet leaves the namespaces.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab.plan import NAMESERVER, PREFIX_LENGTH
from lab.polling import LabError, wait_for
from outgate.demo.network import VirtualHost

_PREFIX = "outgate-lab-"
_PARENT = Path("/tmp")  # reachable for the users that the servers run as, and short: paths of sockets are limited
_ETC = Path("/etc/netns")  # `ip netns exec NAME` mounts what is in NAME here over /etc, for that command alone
# Ties a server to this process: when it dies, even by SIGKILL, unshare is killed, then its child the shell, which is
# process 1 of a process namespace, and with that the kernel kills all in it. A tie of their own some servers undo.
_TIED = (
    *("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("sh", "-c", '"$@"; exit $?', "sh"),
)
_RESOLVER = {
    "resolv.conf": f"nameserver {NAMESERVER.address}\noptions timeout:5\n",
    "nsswitch.conf": "hosts: files dns\n",
    "hosts": "127.0.0.1 localhost\n",
}


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    process: subprocess.Popen[bytes]
    ready: Callable[[], bool]
    log: Path

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise LabError(f"{self.name} ended with {self.process.returncode}\n{self.log_tail()}")
        return self.ready()

    def log_tail(self) -> str:
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        return ""


class Namespace:
    """One party's machine: an address, a resolver, and the processes that run there. `folder` is its own."""

    def __init__(self, name: str, host: VirtualHost, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self._name = name
        self._servers: list[_Server] = []

    def run(
        self,
        *command: str,
        stdin: str | bytes = "",
        environment: Mapping[str, str] | None = None,
        seconds: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises LabError with its output if it fails and `check` is set."""
        done = subprocess.run(
            self._inside(*command),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env=environment,
            timeout=seconds,
            check=False,
        )
        output, errors = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if check and done.returncode:
            raise LabError(f"{self.host.name}: {command[0]} ended with {done.returncode}:\n{output}{errors}")
        return subprocess.CompletedProcess(done.args, done.returncode, output, errors)

    def start(
        self,
        *command: str,
        ready: Callable[[], bool],
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start a server in the foreground, which `wait_until_ready` waits for. It ends when this process does.

        `log` is what explains a failure; else the server's output, which goes to a file in `folder`.
        """
        name = Path(command[0]).name
        output = self.folder / f"{name}.output"
        with output.open("ab") as written:
            process = subprocess.Popen(
                self._inside(*_TIED, *command),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the tests, which then take the lab down in order
            )
        self._servers.append(_Server(f"{name} on {self.host.name}", process, ready, log or output))

    def wait_until_ready(self) -> None:
        """Until all servers are ready; raises LabError if one ends before, or is not in time."""
        for server in self._servers:
            wait_for(server.name, server.is_ready, log=server.log_tail)

    def listens(self, *ports: int) -> bool:
        """Whether a TCP socket is in state LISTEN (0A) on each of the ports; proc(5)."""
        entries = [line.split() for line in self.run("cat", "/proc/net/tcp").stdout.splitlines()[1:]]
        listening = {int(entry[1].rpartition(":")[2], 16) for entry in entries if entry[3] == "0A"}
        return listening.issuperset(ports)

    def stop(self) -> None:
        """End all processes."""
        _end_processes(self._name)
        for server in self._servers:
            server.process.wait()

    def _inside(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self._name, *command]


class Network:
    """The namespaces of one run. `folder` holds all its files."""

    def __init__(self) -> None:
        _remove_leftovers()
        self.folder, self._lock = _locked_folder()
        self._bridge = f"{self.folder.name}-bridge"
        self._namespaces: list[Namespace] = []

    def __enter__(self) -> "Network":
        try:
            _ip("netns", "add", self._bridge)
            _ip("-n", self._bridge, "link", "add", "bridge", "type", "bridge")
            _ip("-n", self._bridge, "link", "set", "bridge", "up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def add(self, party: str, host: VirtualHost) -> Namespace:
        """A namespace for a party, on the bridge; `party` is at most 15 characters long."""
        name = f"{self.folder.name}-{party}"
        folder = self.folder / party
        folder.mkdir()
        _write_resolver(name)
        _ip("netns", "add", name)
        _ip("-n", self._bridge, "link", "add", party, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", self._bridge, "link", "set", party, "master", "bridge", "up")
        _ip("-n", name, "address", "add", f"{host.address}/{PREFIX_LENGTH}", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        namespace = Namespace(name, host, folder)
        self._namespaces.append(namespace)
        return namespace

    def wait_until_ready(self) -> None:
        """Until all servers of all parties are ready."""
        for namespace in self._namespaces:
            namespace.wait_until_ready()

    def close(self) -> None:
        """End everything and take it away."""
        for namespace in reversed(self._namespaces):
            namespace.stop()
        _remove(self.folder)
        os.close(self._lock)


def _locked_folder() -> tuple[Path, int]:
    """A new folder and the lock on it. It gets its name when it is locked, so that no other run takes it away."""
    hidden = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=_PARENT))
    lock = _lock(hidden)
    assert lock is not None
    hidden.chmod(0o755)
    return hidden.rename(_PARENT / hidden.name.removeprefix(".")), lock


def _lock(folder: Path) -> int | None:
    """A lock on a folder, as a file descriptor; None if somebody else has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_leftovers() -> None:
    """Take away what killed runs left."""
    for folder in _PARENT.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            if (lock := _lock(folder)) is not None:
                _remove(folder)
                os.close(lock)


def _remove(folder: Path) -> None:
    """Take away a run: its processes, namespaces, resolver files and last its folder, by which the rest is found."""
    for name in _namespaces():
        if name.startswith(f"{folder.name}-"):
            _end_processes(name)
            _ip("netns", "delete", name)
    for resolver in _ETC.glob(f"{folder.name}-*"):
        shutil.rmtree(resolver)
    with suppress(OSError):  # not there, or somebody else's files are in it
        _ETC.rmdir()
    shutil.rmtree(folder)


def _namespaces() -> list[str]:
    listed = json.loads(_ip("-json", "netns", "list") or "[]")
    return [entry["name"] for entry in listed]


def _end_processes(name: str) -> None:
    """Kill: nobody here has anything to save. And again, for what was just being forked."""

    def ended() -> bool:
        pids = [int(pid) for pid in _ip("netns", "pids", name).split()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_for(f"the end of all processes in {name}", ended)


def _write_resolver(name: str) -> None:
    folder = _ETC / name
    folder.mkdir(parents=True)
    for file, text in _RESOLVER.items():
        (folder / file).write_text(text)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
