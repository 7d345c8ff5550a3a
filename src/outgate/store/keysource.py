"""Where the vault's keys come from: a command (a KMS), the environment, or a file; and when they may be new.

Knows no cipher. A key is shown by none of it: not in an error, not in a `repr`.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from outgate.store import keyfile
from outgate.store.keyfile import KeyFileError, Keys

COMMAND_SECONDS: Final = 10.0  # a KMS that takes longer is taken to be down
COMMAND_PAUSE: Final = 60.0  # seconds: an unknown key id makes the command run again at most so often


class KeySource(Protocol):
    """Gives the keys. `name` says in words where they are."""

    name: str

    def read(self) -> Keys:
        """All keys, the current one last. Raises KeyFileError."""

    def news(self) -> bool:
        """Whether there are other keys than were read last, as far as that can be seen without reading them."""

    def worth_asking(self) -> bool:
        """Whether reading again, now, may bring a key that is missing. Who is told so reads."""


class FileKeys:
    """A file of mode 600. Each rotation puts a new one in its place, which shows."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._seen: tuple[int, int] | None = None

    def read(self) -> Keys:
        """What the file says now."""
        seen = _stamp(self._path)
        keys = keyfile.read(self._path)
        self._seen = seen
        return keys

    def news(self) -> bool:
        """Whether another file is in place."""
        return _stamp(self._path) != self._seen

    def worth_asking(self) -> bool:
        """The same."""
        return self.news()


class EnvironmentKeys:
    """OUTGATE_SECRET_KEY. A process's environment can't be changed from outside, so new keys take a restart."""

    name = keyfile.VARIABLE

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def read(self) -> Keys:
        """What the process was started with."""
        return keyfile.parse(self._environment[keyfile.VARIABLE].replace(",", "\n"), keyfile.VARIABLE)

    def news(self) -> bool:
        """Never."""
        return False

    def worth_asking(self) -> bool:
        """Never."""
        return False


class CommandKeys:
    """What a command prints, in the form of the file. It is run without a shell."""

    name = "secret_key_command"

    def __init__(self, command: Sequence[str], seconds: float = COMMAND_SECONDS, pause: float = COMMAND_PAUSE) -> None:
        self._command, self._seconds, self._pause = tuple(command), seconds, pause
        self._asked_at: float | None = None

    def read(self) -> Keys:
        """Run it. What it says on standard error is the administrator's to see elsewhere: it may hold a secret."""
        try:
            done = subprocess.run(  # noqa: S603 -- the administrator's own command, from the configuration
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self._seconds,
                check=True,
            )
        except subprocess.TimeoutExpired:
            raise self._failed(f"gave no keys within {self._seconds:g} s") from None
        except subprocess.CalledProcessError as error:
            raise self._failed(_end_in_words(error.returncode)) from None
        except OSError as error:
            raise self._failed(f"can't be run: {error.strerror}") from None
        try:
            return keyfile.parse(done.stdout.decode("ascii"), "what secret_key_command printed")
        except UnicodeDecodeError:
            raise self._failed("printed bytes that are not US-ASCII") from None

    def news(self) -> bool:
        """That can't be seen without running it."""
        return False

    def worth_asking(self) -> bool:
        """At most once a minute: rows with a wrong key id must not make the KMS busy."""
        now = time.monotonic()
        if self._asked_at is not None and now - self._asked_at < self._pause:
            return False
        self._asked_at = now
        return True

    def _failed(self, words: str) -> KeyFileError:
        """Names the program alone: an argument may be a secret."""
        program = self._command[0]
        return KeyFileError(f"secret_key_command ({program}) {words}; run it by hand as the server's user to see why")


def source(path: Path, environment: Mapping[str, str] | None = None, command: Sequence[str] = ()) -> KeySource:
    """The command if there is one, else the environment (os.environ if None) if it has keys, else the file."""
    environment = os.environ if environment is None else environment
    if command:
        return CommandKeys(command)
    if environment.get(keyfile.VARIABLE):
        return EnvironmentKeys(environment)
    return FileKeys(path)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Tells one file put in place by keyfile.write from another."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _end_in_words(status: int) -> str:
    return f"ended with exit status {status}" if status >= 0 else f"was ended by signal {-status}"
