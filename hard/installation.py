"""An installation of the product under test, driven as an administrator would: by its commands and its ports.

The product may be of another revision: what its configuration does not know is left out. One installation is made with
users and gateways; each case gets a copy. Knows nothing of what a case measures.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import psutil
from bench.scratch import Scratch, free_port, listens, until
from sqlalchemy import create_engine, text

from hard.names import nameserver

PASSWORD: Final = "correct horse battery"
MIB: Final = 1024 * 1024
# What the machine is: everybody is on loopback, at any port, and log-ins are quick.
_COMMON: Final[Mapping[str, object]] = {
    "log_in.scram_iterations": 4096,
    "egress.allowed_networks": {"loopback": "127.0.0.0/8"},
    "egress.ports": [],
}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who logs in as `primary`, and sends as `address` by a gateway of its own at localhost:`port`."""

    primary: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    status: int
    text: str
    seconds: float


class Failed(Exception):
    """The product can't be measured here; the text says what it answered."""


@dataclass
class Installation:
    """A data directory with its server, once it is started."""

    product: Path
    data: Path
    scratch: Scratch
    users: list[User]
    known: frozenset[str]  # settings that this revision has
    port: int = field(default_factory=free_port)
    settings: dict[str, object] = field(default_factory=dict)
    server: "subprocess.Popen[bytes] | None" = None

    @property
    def database(self) -> Path:
        """The file, on SQLite."""
        return self.data / "outgate.db"

    @property
    def database_url(self) -> str:
        """Where everything is stored."""
        return str(self.settings.get("database_url") or f"sqlite:///{self.database}")

    @property
    def log(self) -> Path:
        return self.data / "serve.log"

    @property
    def clock(self) -> Path:
        return self.data.with_suffix(".clock")

    @property
    def environment(self) -> dict[str, str]:
        """The settings as variables, and a clock that can be set, if it was."""
        given = {
            **_COMMON,
            "submission.address": "127.0.0.1",
            "submission.starttls_port": 0,
            "submission.tls_port": self.port,
            "submission.certificate": str(self.scratch.certificate),
            "submission.private_key": str(self.scratch.key),
            "delivery.ca_file": str(self.scratch.ca),
            **self.settings,
        }
        own = {name: value for name, value in os.environ.items() if not name.startswith("OUTGATE_")}
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        clock = {"PYTHONPATH": str(Path(__file__).parent / "clock"), "HARD_CLOCK": str(self.clock)}
        return (
            own
            | (clock if self.clock.exists() else {})
            | {_variable(name): _text(value) for name, value in given.items() if name in self.known}
        )

    # --- commands ----------------------------------------------------------------------------------------------------

    async def run(self, *arguments: str, seconds: float = 120.0) -> Done:
        """One command, whatever comes of it."""
        began = time.monotonic()
        command = [str(self.product), "--data", str(self.data), *arguments]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment
        )
        try:
            async with asyncio.timeout(seconds):
                said, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            said, _ = await process.communicate()
        return Done(process.returncode or 0, said.decode(), time.monotonic() - began)

    async def must(self, *arguments: str, seconds: float = 120.0) -> Done:
        """One command that has to succeed; raises Failed with what it said."""
        done = await self.run(*arguments, seconds=seconds)
        if done.status:
            raise Failed(f"outgate {' '.join(arguments[:3])}: {done.text.strip()[-300:]}")
        return done

    async def switch(self, *, on: bool) -> Done:
        """Whether users' own gateways are used."""
        return await self.run("policy", "set", "allowUsersToUseExternalSmtpServers", "on" if on else "off")

    # --- the server --------------------------------------------------------------------------------------------------

    async def start(self, *, files: int | None = None) -> None:
        """Serve; `files` is how many descriptors the system lets it have."""
        self.server = self._serve([] if files is None else ["prlimit", f"--nofile={files}:{files}"])
        await asyncio.to_thread(until, self._answers, "the server's start")

    def _serve(self, before: list[str]) -> "subprocess.Popen[bytes]":
        command = [*before, str(self.product), "--data", str(self.data), "serve"]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stderr=log, stdout=log, env=self.environment)

    def _answers(self) -> bool:
        if self.server and self.server.poll() is not None:
            raise Failed(f"the server ended: {self.log.read_text()[-300:]}")
        return listens(self.port)

    async def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 60.0) -> None:
        """End it; killed after `seconds`."""
        if self.server is None:
            return
        self.server.send_signal(how)
        try:
            await asyncio.to_thread(self.server.wait, seconds)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.server = None

    def process(self) -> psutil.Process:
        """The running server."""
        if self.server is None:
            raise RuntimeError("the server does not run")
        return psutil.Process(self.server.pid)

    def resident(self) -> float:
        """MiB of memory now."""
        return float(self.process().memory_info().rss) / MIB

    def peak(self) -> float:
        """MiB of memory at the most so far."""
        status = Path(f"/proc/{self.process().pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        times = self.process().cpu_times()
        return float(times.user + times.system)

    def set_clock(self, ahead: float) -> None:
        """The product's wall clock, so many seconds ahead of the machine's; for the first time before it is started.

        The file is replaced as a whole, since it is read at every look.
        """
        new = self.data.with_suffix(".new")
        new.write_text(str(ahead))
        new.replace(self.clock)

    # --- what is stored ----------------------------------------------------------------------------------------------

    def stored(self) -> float:
        """MiB of the database with its log."""
        return sum(path.stat().st_size for path in self.data.glob("outgate.db*")) / MIB

    def mailbox(self, address: str) -> list[Path]:
        """The messages in a local mailbox."""
        return list((self.data / "mail" / address / "new").glob("*"))


def _variable(name: str) -> str:
    return "OUTGATE_" + name.replace(".", "__").upper()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# As if each user had added an address of the partner's and confirmed it: that many codes would take minutes to enter.
_ADDRESSES = """
INSERT INTO send_as (account_id, address, display_name, reply_to, signature, is_primary, is_default, treat_as_alias,
                     verified_at, proof, created_at)
SELECT id, replace(primary_address, '@example.com', '@partner.example'), '', '', '', false, false, true,
       created_at, 'code', created_at
FROM account
"""


def _confirm_addresses(url: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text(_ADDRESSES))
    engine.dispose()


@asynccontextmanager
async def _ending(installation: Installation) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await installation.stop(signal.SIGKILL)
        await asyncio.to_thread(shutil.rmtree, installation.data, ignore_errors=True)


_SETTING = re.compile(r"^#?(\w+) =", re.MULTILINE)
_SECTION = re.compile(r"^\[(\w+)\]$", re.MULTILINE)


def _settings(configuration: str) -> frozenset[str]:
    """The names of all settings, which `init` writes into the configuration, as comments those with defaults."""
    top, *rest = _SECTION.split(configuration)
    found = set(_SETTING.findall(top))
    for section, body in zip(rest[::2], rest[1::2], strict=True):
        found |= {f"{section}.{name}" for name in _SETTING.findall(body)}
    return frozenset(found)


class Ground:
    """Where cases are measured: `full` or short, with an installation for each that is a copy of one."""

    def __init__(self, scratch: Scratch, product: Path, *, full: bool, users: int) -> None:
        self.scratch, self.product, self.full, self._count = scratch, product, full, users
        nowhere = free_port()  # exchangers refuse, unless a case says otherwise
        name_server = scratch.on_exit.enter_context(nameserver())
        self._surroundings = {"delivery.nameservers": [name_server], "delivery.smtp_port": nowhere}
        self._template: Installation | None = None
        self._copies = 0

    def size(self, full: int, short: int) -> int:
        """How many of something."""
        return full if self.full else short

    @asynccontextmanager
    async def installation(self, settings: Mapping[str, object] | None = None) -> AsyncIterator[Installation]:
        """A fresh one, its server not started; whatever runs at the end is killed."""
        if self._template is None:
            self._template = await self._make(self._count)
        data = self._folder()
        await asyncio.to_thread(shutil.copytree, self._template.data, data)
        made = replace(self._template, data=data, port=free_port(), settings=self._surroundings | dict(settings or {}))
        async with _ending(made):
            yield made

    @asynccontextmanager
    async def another(self, settings: Mapping[str, object], users: int) -> AsyncIterator[Installation]:
        """One that is no copy, with fewer users: its database is elsewhere."""
        made = await self._make(users, settings)
        async with _ending(made):
            yield made

    def _folder(self) -> Path:
        self._copies += 1
        return self.scratch.folder / f"case-{self._copies}"

    async def _make(self, count: int, settings: Mapping[str, object] | None = None) -> Installation:
        users = [User(f"u{n:03}@example.com", f"u{n:03}@partner.example", free_port()) for n in range(count)]
        given = self._surroundings | dict(settings or {})
        made = Installation(self.product, self._folder(), self.scratch, users, frozenset(_COMMON), settings=given)
        database = ("--database-url", str(given["database_url"])) if "database_url" in given else ()
        await made.must("init", "example.com", "--hostname", "localhost", *database)
        made.known = _settings((made.data / "outgate.toml").read_text())
        await made.switch(on=True)
        await self._import(made, "users", ["address,password", *(f"{one.primary},{PASSWORD}" for one in users)])
        await asyncio.to_thread(_confirm_addresses, made.database_url)
        rows = (f"{one.primary},{one.address},localhost,{one.port},ssl,{one.address},secret" for one in users)
        columns = "user,address,host,port,security,username,password"
        await self._import(made, "gateways", [columns, *rows], "--no-probe")
        return made

    async def _import(self, made: Installation, kind: str, lines: list[str], *options: str) -> None:
        file = self.scratch.folder / f"{kind}.csv"
        file.write_text("\n".join(lines) + "\n")
        await made.must("import", kind, str(file), *options)
