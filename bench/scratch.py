"""Where one run keeps everything: a folder, a certificate authority, and the processes that must end with it."""

import contextlib
import itertools
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from outgate.demo.certificates import Authority
from outgate.demo.network import VirtualHost

HOST = VirtualHost("localhost", "127.0.0.1")


class Scratch:
    """Everything that is started through `on_exit` is stopped in reverse order, whatever happens."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder = folder
        self.on_exit = stack
        authority = Authority(folder)
        self.ca = authority.ca_file
        self.certificate, self.key = authority.issue(HOST)
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)  # of a server that is localhost
        self.tls.load_cert_chain(self.certificate, self.key)

    def start(self, command: list[str], **more: object) -> "subprocess.Popen[str]":
        """A process with text pipes, killed at the end."""
        process = subprocess.Popen(  # type: ignore[call-overload] # keywords are passed on as they come
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more
        )
        self.on_exit.callback(_end, process)
        started: subprocess.Popen[str] = process
        return started


@contextlib.contextmanager
def scratch() -> Iterator[Scratch]:
    """A scratch folder for the time of the block."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="outgate-bench-"))
        folder.chmod(0o755)  # Postfix's and Dovecot's users look into it
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Scratch(stack, folder)


# Below those that the system gives to connections (Linux: from 32768), which could take a port between our look and a
# server's start. Tests that run side by side have each their own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 3
_PORTS = itertools.cycle(range(20_000 + 4_000 * _WORKER, 24_000 + 4_000 * _WORKER))


def free_port(*addresses: str) -> int:
    """A port that nobody listens on now, that no connection takes meanwhile, and that is not soon given again: at all
    of these addresses, or at 127.0.0.1.
    """
    for port in _PORTS:
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            for address in addresses or ("127.0.0.1",):
                probes.enter_context(socket.socket()).bind((address, port))
            return port
    raise AssertionError("the ports go round")


def until(fulfilled: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not fulfilled():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} took over {seconds} s")
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether a server answers on loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.communicate(timeout=10)  # also closes the pipes
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
