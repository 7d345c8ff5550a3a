"""`outgate demo`: starts the small internet, tells the story, compares it with the reference, then keeps running."""

import asyncio
import contextlib
import email
import email.policy
import email.utils
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

from outgate.extras import extra

with extra("demo"):
    from outgate.demo import internet
    from outgate.demo.arrival import Arrival
    from outgate.demo.display import Display
    from outgate.demo.example_organisation import DemoError, Outgate
    from outgate.demo.internet import Internet
    from outgate.demo.network import ORGANISATION, NetworkError, reserve
    from outgate.demo.story import ADMINISTRATOR, COLLEAGUE, OTHER, SUBJECT, USER, Case, Command, Row, cases

T = TypeVar("T")

_ARRIVAL_SECONDS = 60
_FAILED = 8  # as with all of `outgate`: a check failed
_INTERRUPTED = 130  # as of a program that Ctrl-C ended


async def run(once: bool, json: bool, data: Path | None) -> int:
    """Run the demonstration; returns the exit status: 0 if every message was as the reference says.

    `once` ends after the story; `json` prints objects, one a line, in place of the table; `data` is the directory to
    use and to leave behind, else a temporary one is made and removed. Runs on asyncio's own loop only.
    """
    with contextlib.ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outgate-demo-")))
        display = stack.enter_context(Display(json))
        stopped = stack.enter_context(_stopped_by_signals())
        try:
            await _demonstrate(display, folder.absolute(), once)
        except (DemoError, NetworkError) as error:
            display.problem(str(error))
            return _FAILED
        except asyncio.CancelledError:
            if not stopped.is_set():
                raise
            if display.as_expected is None:
                return _INTERRUPTED
        return 0 if display.as_expected else _FAILED


async def _demonstrate(display: Display, folder: Path, once: bool) -> None:
    display.step("starting a partner, recipients, a domain gateway and their DNS")
    certificates = folder / "internet"
    certificates.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        network = stack.enter_context(reserve())
        parties = await stack.enter_async_context(internet.running(network, certificates))
        outgate = Outgate(network, parties.authority, folder)
        display.step(f"making the organisation {ORGANISATION} with its user {USER}")
        await outgate.set_up()
        parties.records.publish(await outgate.dkim_record())
        await stack.enter_async_context(outgate.serving())
        demonstration = Demonstration(display, parties, outgate)
        await demonstration.tell()
        if not once:
            await demonstration.go_on()


class Demonstration:
    """The story on running parties."""

    def __init__(self, display: Display, parties: Internet, outgate: Outgate) -> None:
        self._display = display
        self._parties = parties
        self._outgate = outgate

    async def tell(self) -> None:
        """Prove the other address, send the message in every case, and compare with what the reference says."""
        await self._prove_the_other_address()
        story = cases(self._parties.network, self._parties.partner.password)
        arrivals = [await self._play(case) for case in story]
        recorded = await self._outgate.recorded()
        rows = [
            Row(case.name, case.title, arrival, self._recorded_by(arrival, recorded))
            for case, arrival in zip(story, arrivals, strict=True)
        ]
        differences = [text for case, row in zip(story, rows, strict=True) for text in row.differences(case.expected)]
        self._display.story(rows, differences)

    async def go_on(self) -> None:
        """Show what arrives until somebody ends it."""
        self._display.say(invitation(self._parties, self._outgate))
        codes = asyncio.create_task(self._show_codes())
        try:
            await self._show_arrivals()
        finally:
            codes.cancel()

    async def _show_codes(self) -> None:
        """What comes to the mailbox at the partner, which nobody has a mail program for."""
        while True:
            message = await self._parties.partner.mailbox.get()
            with contextlib.suppress(DemoError):
                self._display.say(f"a code has come to {OTHER}: {code_in(message)}")

    async def _show_arrivals(self) -> None:
        while True:
            arrival = await self._outgate.while_serving(self._parties.recipient.arrivals.get())
            title = arrival.subject or "(no subject)"
            recorded = await self._outgate.recorded()
            self._display.later(Row("later", title, arrival, self._recorded_by(arrival, recorded)))

    async def _prove_the_other_address(self) -> None:
        """As the user does: ask for the address, read the code in its mailbox, enter it."""
        self._display.step(f"{USER} proves to own {OTHER}: Outgate mails a code there")
        await self._command(Command(("sendas", "add", USER, OTHER)))
        message = await self._within(self._parties.partner.mailbox.get(), "the message with the code")
        await self._command(Command(("sendas", "verify", USER, OTHER, code_in(message))))

    async def _play(self, case: Case) -> Arrival:
        for command in case.commands:
            await self._command(command)
        carol = self._parties.recipient.address
        self._display.step(f"{case.title}: {case.author} writes to {carol}")
        message = message_from(case.author, carol)
        await self._outgate.submit(message)
        return await self._within(self._arrival_of(message["Message-ID"]), "the message")

    async def _arrival_of(self, message_id: str) -> Arrival:
        """Passes over others: a message may come twice (delivery is at least once)."""
        while (arrival := await self._parties.recipient.arrivals.get()).message_id != message_id:
            pass
        return arrival

    async def _command(self, command: Command) -> None:
        self._display.step(f"$ {command}")
        await self._outgate.run(command)

    def _recorded_by(self, arrival: Arrival, recorded: set[str]) -> tuple[str, ...]:
        """The servers whose own log has the message; `recorded` is what Outgate's has."""
        network, parties = self._parties.network, self._parties
        found = [network.outgate.name] if arrival.message_id in recorded else []
        for host, log in ((network.relay, parties.relay.log), (network.partner, parties.partner.log)):
            if any(entry.message_id == arrival.message_id for entry in log):
                found.append(host.name)
        return tuple(found)

    async def _within(self, wanted: Coroutine[Any, Any, T], what: str) -> T:
        try:
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                return await self._outgate.while_serving(wanted)
        except TimeoutError:
            tail = self._outgate.log_tail()
            raise DemoError(f"{what} did not arrive within {_ARRIVAL_SECONDS} seconds\n{tail}") from None


def message_from(author: str, recipient: str) -> EmailMessage:
    """The message of the story: the same each time but for its author and Message-ID."""
    message = EmailMessage()
    message["From"] = author
    message["To"] = recipient
    message["Subject"] = SUBJECT
    message["Date"] = email.utils.localtime()
    message["Message-ID"] = email.utils.make_msgid(domain=author.rpartition("@")[2])
    message.set_content("Here they are.\n")
    return message


def code_in(message: bytes) -> str:
    """The nine-digit code in the text of a confirmation message; raises DemoError if there is none."""
    body = email.message_from_bytes(message, policy=email.policy.default).get_body(("plain",))
    found = re.search(r"\b\d{9}\b", body.get_content()) if body else None
    if not found:
        raise DemoError("there is no nine-digit code in the confirmation message")
    return found.group()


def invitation(parties: Internet, outgate: Outgate) -> str:
    """How to send to it with a mail program, and how to change it."""
    network = parties.network
    return f"""
Open the pages, and log in as one of these; all have the password {outgate.password}
  {outgate.pages}
  {USER}   a user, who sends as {OTHER}, too
  {COLLEAGUE}     another one; let him add {OTHER}: its server is
                      {network.partner.name}, port {network.submission_port}, TLS, password {parties.partner.password}
                      and the code that is mailed to it is shown below
  {ADMINISTRATOR}    the administrator, who has the switch
Beside them, what recipients see: each message as it came to {parties.recipient.address} or {OTHER}, codes too
  {network.view}
Or write with your own mail program, from {USER} or {OTHER}, to {parties.recipient.address}:
  server      {network.outgate.address}, port {network.submission_port} (STARTTLS) or {network.tls_port} (TLS)
  user        {USER}
  password    {outgate.password}
  authority   {parties.authority.ca_file}
For example:
  printf 'From: {OTHER}\\nTo: {parties.recipient.address}\\nSubject: Hello\\n\\nHello.\\n' |
  curl --silent --show-error --ssl-reqd --cacert {parties.authority.ca_file} --crlf --upload-file - \\
    --user '{USER}:{outgate.password}' --url smtp://{network.outgate.address}:{network.submission_port} \\
    --mail-from {OTHER} --mail-rcpt {parties.recipient.address}
Turn the switch off, or see what Outgate knows, from another terminal:
  {_program()} --data {outgate.data} policy set allowUsersToUseExternalSmtpServers off
  {_program()} --data {outgate.data} log
Outlook shows "on behalf of" the other way round: {USER} on behalf of {OTHER}.
Each message that arrives is shown below. Ctrl-C ends all.
"""


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[asyncio.Event]:
    """Make the signals that end a program cancel this task, once, so that all is put away; the event says that."""
    loop, task, stopped = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert task

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _program() -> str:
    """How the program is called in the reader's shell."""
    installed = Path(sys.executable).parent / "outgate"
    found = shutil.which("outgate")
    return "outgate" if found and Path(found).samefile(installed) else str(installed)
