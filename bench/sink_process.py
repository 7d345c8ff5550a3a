"""The sink as a process of its own: told what to expect, asked what came."""

import json
import sys
from typing import Any

from bench.scratch import Scratch


class SinkProcess:
    """Runs from its making to the end of its scratch folder."""

    def __init__(self, installation: Scratch, *, tls: bool) -> None:
        command = [sys.executable, "-m", "bench.sink", "127.0.0.1", "0"]
        if tls:
            command += ["--tls", str(installation.certificate), str(installation.key)]
        self._process = installation.start(command)
        self.port: int = self._read()["port"]

    def expect(self, first: int, count: int) -> None:
        """Forget everything and wait for these."""
        self._write(f"expect {first} {count}")

    def report(self) -> dict[str, Any]:
        """What arrived. The line that tells of the last arrival, if it came, is passed over."""
        self._write("report")
        answer = self._read()
        return self._read() if "complete" in answer else answer

    def wait(self) -> None:
        """Until the last one is there."""
        self._read()

    def _write(self, line: str) -> None:
        if self._process.stdin is None:
            raise AssertionError("the sink has a pipe")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise AssertionError("the sink has a pipe")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
