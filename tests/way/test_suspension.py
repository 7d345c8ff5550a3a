"""A gateway that refuses its credential is suspended, told of once, and goes on by itself after the repair; whoever
suspends a queue finds it so after a restart.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from corpus.peer import RawPeer
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, running
from way.submit import message, submit
from way.test_own_mail_leaves import inbox

ALICE = "alice@example.com"


async def says(site: Site, *arguments: str, stdin: str = "") -> str:
    """What a command prints, in a process of its own as the server runs."""
    command = [sys.executable, "-m", "outgate", "--data", str(site.data), *arguments]
    done = await asyncio.to_thread(subprocess.run, command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


async def outgate(site: Site, *arguments: str, stdin: str = "") -> Any:
    """The same for programs."""
    return json.loads(await says(site, "--json", *arguments, stdin=stdin))


async def once(site: Site, command: Sequence[str], fulfilled: Callable[[Any], object]) -> Any:
    """What a command says as soon as that is fulfilled."""
    async with asyncio.timeout(60):
        while not fulfilled(found := await outgate(site, *command)):
            pass
    return found


async def test_a_refused_credential_suspends_until_the_repair(tmp_path: Path) -> None:
    web = {"public_url": "https://mail.example.com", "port": 0}
    site = install(tmp_path / "o", delivery={"notices_to": "bob@example.com"}, web=web)
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), credentials={PARTNER: "changed"}) as gateway:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        server = await running(site)
        try:
            for number in range(3):
                await submit(site, PARTNER, content=message(PARTNER, f"number {number}"))
            await eventually(lambda: inbox(site, ALICE), "the user is told")
            await eventually(lambda: inbox(site, "bob@example.com"), "the administrator is told")
            (told,) = inbox(site, ALICE)
            assert "535 5.7.8 Wrong user or password" in told.get_content()
            assert "https://mail.example.com/settings/accounts" in told.get_content()
            assert GATEWAY_PASSWORD not in told.as_string()
        finally:
            await server.stop()
        log_ins = gateway.connections

        server = await running(site)
        try:
            await submit(site, PARTNER, content=message(PARTNER, "number 3"))
            (state,) = await outgate(site, "gateway", "list")
            assert (state["state"], state["recipients"]) == ("suspended", 4)
            assert gateway.connections == log_ins, "after a restart nobody logs in with what was refused"
            set_anew = ("sendas", "gateway", "set", ALICE, PARTNER, f"--username={PARTNER}", "--password-stdin")
            await outgate(site, *set_anew, stdin="changed\n")
            received = await gateway.wait_for(4)
            assert len(received) == 4
            (state,) = await once(site, ["gateway", "list", "--all"], lambda found: found[0]["state"] == "works")
            assert state["restrictions"] == []
        finally:
            await server.stop()
    assert len(inbox(site, ALICE)) == 1, "the user is told once"


@pytest.mark.parametrize("reply", ["454 4.7.0 Try again later", "421 4.3.2 Busy"])
async def test_a_log_in_that_is_put_off_suspends_nothing(site: Site, reply: str) -> None:
    def answer(line: str) -> str | None:
        return reply if line.startswith("AUTH") else None

    async with RawPeer(
        tls=site.authority.server_context(LOCALHOST), credentials={PARTNER: GATEWAY_PASSWORD}, answer=answer
    ) as gateway:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await once(site, ["queue", "list"], lambda found: found[0]["attempts"] == 1)
            (state,) = await outgate(site, "gateway", "list")
            assert (state["state"], state["restrictions"]) == ("failing", [])
            assert reply in str(state["last_reply"])
        finally:
            await server.stop()
    assert inbox(site, ALICE) == []


async def test_a_provider_that_refuses_everybody_for_an_hour_needs_no_repair(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suspension has an end; then one log-in is tried, and what works is suspended no more."""
    credentials = {PARTNER: "out of order"}
    async with RawPeer(tls=site.authority.server_context(LOCALHOST), credentials=credentials) as gateway:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        monkeypatch.setattr("outgate.directory.restrictions.FIRST_PAUSE", 0.5)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await eventually(lambda: inbox(site, ALICE), "it is suspended")
            credentials[PARTNER] = GATEWAY_PASSWORD
            assert await gateway.wait_for(1)
            await once(site, ["queue", "restrictions"], lambda found: found == [])
        finally:
            await server.stop()


async def test_what_somebody_suspends_waits_over_a_restart_until_it_is_resumed(site: Site) -> None:
    async with RawPeer(
        tls=site.authority.server_context(LOCALHOST), credentials={PARTNER: GATEWAY_PASSWORD}
    ) as gateway:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        server = await running(site)
        try:
            await outgate(site, "gateway", "suspend", "localhost", "--reason", "new certificate there", "--for", "2h")
            await submit(site, PARTNER)
        finally:
            await server.stop()
        server = await running(site)
        try:
            (waits,) = await once(site, ["queue", "list"], lambda found: found[0]["last_reply"])
            assert (waits["state"], waits["attempts"]) == ("suspended", 0)
            assert "new certificate there" in str(waits["last_reply"])
            assert gateway.connections == 0
            (one,) = await outgate(site, "queue", "restrictions")
            assert str(one["author"]).startswith("console")
            assert str(one["until"]) > str(one["since"])
            text = await says(site, "gateway", "list")
            assert all(len(line) <= 80 for line in text.splitlines()), text
            await outgate(site, "gateway", "resume", "localhost")
            assert await gateway.wait_for(1)
        finally:
            await server.stop()
