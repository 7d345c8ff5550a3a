"""A bare Debian 12, run by its own systemd: for what must hold on somebody else's machine. Needs root. Knows no mail.

The root is made once by debootstrap and kept; each run has an overlay on it that is gone afterwards. Its network is its
own, with nothing but loopback: packages that a run is to install are fetched when the root is made.
"""

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from lab.polling import LabError, wait_for

ROOTS: Final = Path("/var/tmp/outgate-trial")
RELEASE: Final = "bookworm"
MAKING: Final = 900.0  # seconds that the root may take, which is made once
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UP: Final = ("running", "degraded")


def bare_root(installed: Sequence[str], fetched: Sequence[str]) -> Path:
    """A root with Debian's base system and the packages `installed`; those `fetched` lie ready for apt-get install.

    Made if there is none yet, which needs debootstrap and Debian's mirror. Raises LabError.
    """
    made = ROOTS / RELEASE
    if made.exists():
        return made
    ROOTS.mkdir(mode=0o700, exist_ok=True)
    growing = ROOTS / f"{RELEASE}.{os.getpid()}"
    try:
        _done(["debootstrap", RELEASE, str(growing)])
        (growing / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # nothing starts while it is made
        (growing / "usr/sbin/policy-rc.d").chmod(0o755)
        apt = ["chroot", str(growing), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet=2"]
        for command in (["update"], ["install", *installed], ["install", "--download-only", *fetched]):
            _done([*apt, "--no-install-recommends", *command])
        (growing / "usr/sbin/policy-rc.d").unlink()
        growing.rename(made)
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    return made


class BareDebian:
    """Runs while the context lasts. `brought` maps files and folders of this machine to where they are seen in it."""

    def __init__(self, root: Path, brought: Mapping[Path, str]) -> None:
        binds = [f"--bind-ro={source}:{target}" for source, target in brought.items()]
        # The process ends with this one, and the kernel ends with it all that runs in the container.
        self._command = [
            *("setpriv", "--pdeathsig", "KILL", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit"),
            *(f"--directory={root}", "--volatile=overlay", f"--machine=outgate-trial-{os.getpid()}"),
            *("--private-network", "--resolv-conf=off", "--link-journal=no", "--console=read-only", *binds, "--boot"),
        ]

    def __enter__(self) -> "BareDebian":
        self._container = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            self._leader = wait_for("the first process of the container", self._first_process)
            wait_for("systemd in the container", self._is_up, seconds=90)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end()

    def run(
        self, command: str, *, stdin: str = "", check: bool = True, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a line of shell as its root, in root's home. Raises LabError with the output if it fails and `check`."""
        done = subprocess.run(
            self._inside(command), input=stdin, capture_output=True, text=True, timeout=seconds, check=False
        )
        if check and done.returncode:
            raise LabError(f"`{command}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def answer(self, command: str, question: str, answer: str, *, seconds: float = 60) -> str:
        """Run a line of shell on a terminal and answer its one question; returns what the terminal showed."""
        leader, terminal = pty.openpty()
        process = subprocess.Popen(self._inside(command), stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown, asked, end = "", False, time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                if not select.select([leader], [], [], 0.5)[0]:
                    continue
                try:
                    shown += os.read(leader, 4096).decode(errors="replace")
                except OSError:  # the terminal's other side is closed
                    break
                if not asked and question in shown:
                    asked = True
                    os.write(leader, f"{answer}\n".encode())
        finally:
            process.kill()
            status = process.wait()
            os.close(leader)
        if not asked or status > 0:
            raise LabError(f"`{command}` ended with {status}:\n{shown}")
        return shown

    def _inside(self, command: str) -> list[str]:
        enter = ["nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--pid", "--net"]
        environment = ["env", "--ignore-environment", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", f"PATH={_PATH}"]
        return [*enter, *environment, "sh", "-c", f"cd /root\n{command}"]

    def _first_process(self) -> int | None:
        """The container's process 1, once there is one that is not nspawn's own."""
        if self._container.poll() is not None:
            _, errors = self._container.communicate()
            raise LabError(f"the container ended: {errors.decode(errors='replace')}")
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        return None

    def _is_up(self) -> bool:
        return self.run("systemctl is-system-running", check=False).stdout.strip() in _UP

    def _end(self) -> None:
        with self._container:  # closes its pipe
            self._container.send_signal(signal.SIGTERM)  # an orderly halt
            try:
                self._container.wait(20)
            except subprocess.TimeoutExpired:
                self._container.kill()


def _done(command: list[str]) -> None:
    """Run what makes the root."""
    if shutil.which(command[0]) is None:
        raise LabError(f"{command[0]} is missing; run as root: apt-get install {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAKING, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
