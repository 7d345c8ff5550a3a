"""What comes from outside reaches no terminal as it came: a peer's reply, a name, a subject."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from cli.program import Program
from corpus.peer import RawPeer
from outgate.cli.output import plain, tell
from outgate.cli.program import app
from outgate.cli.shell import CommandContext
from outgate.cli.status import Status, tell_error
from outgate.printable import printable_lines

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r"


@pytest.mark.parametrize("error", [True, False])
def test_control_characters_are_escaped_wherever_text_is_told(capsys: pytest.CaptureFixture[str], error: bool) -> None:
    if error:
        tell_error(Status.CHECK_FAILED, f"it said {HOSTILE}\nand more", as_json=False)
    else:
        tell(CommandContext(), {}, f"it said {HOSTILE}\nand more")
    out, err = capsys.readouterr()
    said = out + err
    assert r"\x1b]0;owned\x07" in said
    assert said.replace("\n", "").isprintable()
    assert said.count("\n") == 2


def test_what_people_write_stays_as_it_is() -> None:
    assert printable_lines("Grüße, José\n  日本") == "Grüße, José\n  日本"
    assert plain({"a": [HOSTILE]}).isprintable()


@contextlib.contextmanager
def _peer(reply: str) -> Iterator[int]:
    """A server that greets and answers EHLO and HELO with this."""
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    port = 0

    async def work() -> None:
        nonlocal port
        async with RawPeer(answer=lambda line: reply if line[1:4] in ("HLO", "ELO") else None) as peer:
            port = peer.port
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(work(),))
    thread.start()
    assert ready.wait(20)
    yield port
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


def test_a_gateways_reply_is_printable_when_it_is_tried(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program.run("policy", "set", "allowUsersToUseExternalSmtpServers", "on")
    monkeypatch.setenv("OUTGATE_EGRESS__ALLOWED_NETWORKS", '{"v4": "127.0.0.0/8"}')
    monkeypatch.setenv("OUTGATE_EGRESS__PORTS", "[]")
    alice, partner = "alice@example.com", "alice@dominiopartner.example"
    with _peer(f"550 5.7.1 no {HOSTILE.replace(chr(13), '')} for you") as port:
        command = ("sendas", "add", alice, partner, "--host", "127.0.0.1", "--port", str(port), "--username", "a")
        told = CliRunner().invoke(
            app, [*command, "--password-stdin"], input="secret", env={"OUTGATE_DATA": str(program.data)}
        )
    assert told.exit_code == Status.CHECK_FAILED
    said = told.output
    assert "owned" in said
    assert said.strip().replace("\n", "").isprintable()
