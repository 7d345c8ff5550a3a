"""The organisation's side: Outgate in a data directory, used as its users use it, by its command line and as a process.

Knows the command line and the settings, and nothing of what is behind them.
"""

import asyncio
import json
import os
import secrets
import smtplib
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

from outgate.demo import zones
from outgate.demo.certificates import Authority
from outgate.demo.network import ORGANISATION, Network
from outgate.demo.story import ADMINISTRATOR, COLLEAGUE, USER, Command

T = TypeVar("T")

_COMMAND_SECONDS = 60
_START_SECONDS = 30
_STOP_SECONDS = 15
_SUBMIT_SECONDS = 20


class DemoError(Exception):
    """The demonstration can't go on; the text says what failed."""


class Outgate:
    """One installation. `password` is that of its users; all files are in `data`."""

    def __init__(self, network: Network, authority: Authority, data: Path) -> None:
        self.data = data
        self.password = secrets.token_urlsafe(12)
        self._network = network
        self._authority = authority
        self._log = data / "serve.log"
        self._server: asyncio.subprocess.Process | None = None

    async def set_up(self) -> None:
        """Make the organisation with its users, of whom one may do everything."""
        settings = [f"--set={key}={_toml(value)}" for key, value in self._settings().items()]
        await self.run(Command(("init", ORGANISATION, "--hostname", self._network.outgate.name, *settings)))
        for user in (USER, COLLEAGUE, ADMINISTRATOR):
            await self.run(Command(("user", "add", user, "--password-stdin"), stdin=self.password))
        await self.run(Command(("role", "assign", ADMINISTRATOR, "super-admin")))

    @property
    def pages(self) -> str:
        """Where users and administrators find the pages."""
        return f"http://{self._network.outgate.address}:{self._network.web_port}/"

    def _settings(self) -> dict[str, object]:
        """What is different in the small internet: addresses, ports, its DNS, its certificate authority."""
        network = self._network
        certificate, key = self._authority.issue(network.outgate)
        return {
            "submission.address": network.outgate.address,
            "submission.starttls_port": network.submission_port,
            "submission.tls_port": network.tls_port,
            "submission.certificate": str(certificate),
            "submission.private_key": str(key),
            "delivery.smtp_port": network.smtp_port,
            "delivery.source_address": network.outgate.address,
            "delivery.nameservers": [f"{network.nameserver.address}:{network.dns_port}"],
            "delivery.ca_file": str(self._authority.ca_file),
            "egress.allowed_networks": {"demo": f"{network.prefix}.0/24"},
            "egress.ports": [network.submission_port],
            "web.public_url": self.pages,
            "web.address": network.outgate.address,
            "web.port": network.web_port,
        }

    async def run(self, command: Command) -> Any:
        """Run one command with --json; returns what it printed, parsed. Raises DemoError with its words if it fails."""
        process = await self._start(*command.arguments, "--json", stderr=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                output, errors = await process.communicate(command.stdin.encode())
        except TimeoutError:
            raise DemoError(f"`{command}` took over {_COMMAND_SECONDS} seconds") from None
        finally:
            await _stop(process)
        if process.returncode != 0:
            raise DemoError(f"`{command}` failed: {_words(errors.decode(errors='replace'))}")
        return json.loads(output)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """`outgate serve` until the block ends; what it logs goes to a file."""
        with self._log.open("wb") as log:
            process = await self._start("serve", stderr=log)
        try:
            await self._wait_until_ready(process)
            self._server = process
            yield
        finally:
            await _stop(process)

    async def while_serving(self, wanted: Coroutine[Any, Any, T]) -> T:
        """What `wanted` gives; raises DemoError if `outgate serve` ends before."""
        assert self._server
        result, ended = asyncio.create_task(wanted), asyncio.create_task(self._server.wait())
        try:
            await asyncio.wait((result, ended), return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise DemoError(f"`outgate serve` ended\n{self.log_tail()}")
            return result.result()
        finally:
            result.cancel()
            ended.cancel()

    async def dkim_record(self) -> str:
        """The record of the organisation's key, for its zone."""
        domain = next(each for each in await self.run(Command(("domain", "list"))) if each["name"] == ORGANISATION)
        return zones.key(ORGANISATION, domain["dkim_selector"], domain["dkim_record"])

    async def recorded(self) -> set[str]:
        """The Message-IDs of the newest messages in Outgate's own log."""
        return {f"<{each['message_id'].strip('<>')}>" for each in await self.run(Command(("log",)))}

    async def submit(self, message: EmailMessage) -> None:
        """Send a message as USER's mail program does, on the submission port."""
        try:
            await asyncio.to_thread(self._submit, message)
        except (OSError, smtplib.SMTPException) as error:
            raise DemoError(f"Outgate did not take the message: {error}\n{self.log_tail()}") from None

    def log_tail(self) -> str:
        """The last lines of what `outgate serve` logged, to explain a failure."""
        with suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
        return ""

    def _submit(self, message: EmailMessage) -> None:
        network = self._network
        with smtplib.SMTP(network.outgate.address, network.submission_port, timeout=_SUBMIT_SECONDS) as client:
            client.starttls(context=self._authority.client_context())
            client.login(USER, self.password)
            client.send_message(message, from_addr=message["From"])

    async def _start(self, *arguments: str, stderr: Any) -> asyncio.subprocess.Process:
        """Start `outgate`. In a session of its own: Ctrl-C is for the demonstration, which then stops it in order."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTGATE_")}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "outgate", *arguments),
            stdin=asyncio.subprocess.PIPE if stderr == asyncio.subprocess.PIPE else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if stderr == asyncio.subprocess.PIPE else stderr,
            stderr=stderr,
            env={**environment, "OUTGATE_DATA": str(self.data)},
            start_new_session=True,
        )

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        """Until the submission port answers."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while process.returncode is None:
                    with suppress(OSError):
                        _, writer = await asyncio.open_connection(
                            self._network.outgate.address, self._network.submission_port
                        )
                        writer.close()
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pass
        raise DemoError(f"`outgate serve` did not start:\n{self.log_tail()}")


def _toml(value: object) -> str:
    """TOML takes JSON's values, but for the separator in its tables."""
    return json.dumps(value, separators=(", ", " = "))


def _words(errors: str) -> str:
    """What a command with --json said on standard error; as it is if it didn't come to say it in JSON."""
    try:
        return str(json.loads(errors)["error"]["message"])
    except (ValueError, TypeError, KeyError):
        return errors.strip()


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End a process: asked first, then made to."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
