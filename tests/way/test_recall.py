"""A change of policy while the gateway keeps a transaction open: what has not left whole goes by the new way."""

import asyncio
import json
import sys

import pytest

from corpus.peer import HANG, OFFERS, RawPeer
from outgate.operations import propagation
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, running
from way.submit import submit

SWITCH = "allowUsersToUseExternalSmtpServers"
PIPELINED = tuple(offer for offer in OFFERS if offer != "CHUNKING")


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA"])
async def test_a_gateway_that_is_silent_before_the_content_gets_nothing_after_the_switch(site: Site, at: str) -> None:
    context = site.authority.server_context(LOCALHOST)

    def silent(line: str) -> str | None:
        return HANG if line.startswith(at) else None

    async with (
        RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=silent, offers=PIPELINED) as gateway,
        RawPeer(tls=context, credentials={"relay": GATEWAY_PASSWORD}) as relay,
    ):
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        await site.set_domain_gateway(relay.port)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await eventually(lambda: any(line.startswith(at) for line in gateway.commands), "it is under way")
            await site.switch(on=False)
            place = site.place()
            assert await asyncio.to_thread(propagation.wait, place.engine) is None
            place.engine.dispose()
            (received,) = await relay.wait_for(1)
        finally:
            await server.stop()
        assert gateway.messages == []
    assert received.reverse_path == "alice@example.com"


async def test_what_a_silent_gateway_has_whole_is_named(site: Site) -> None:
    context = site.authority.server_context(LOCALHOST)

    def silent(line: str) -> str | None:
        return HANG if line == "." else None

    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=silent) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await eventually(lambda: any(line.startswith("BDAT") for line in gateway.commands), "it has it")
            await site.switch(on=False)
            place = site.place()
            behind = await asyncio.to_thread(propagation.wait, place.engine, 0.2)
            place.engine.dispose()
        finally:
            server._deliverer._settings = server._deliverer._settings.model_copy(update={"stop_timeout": 0.1})
            await server.stop()
    assert behind is not None
    assert len(behind.recipients) == 1
    assert "carol@recipient.example by localhost (alice@dominiopartner.example)" in behind.recipients[0]


@pytest.mark.parametrize(
    "command",
    [
        ["policy", "set", SWITCH, "off"],
        ["sendas", "gateway", "clear", "alice@example.com", PARTNER],
        ["user", "suspend", "alice@example.com"],
    ],
    ids=" ".join,
)
async def test_a_command_that_could_not_call_all_back_ends_with_9_and_names_it(site: Site, command: list[str]) -> None:
    context = site.authority.server_context(LOCALHOST)

    def silent(line: str) -> str | None:
        return HANG if line == "." else None

    async with RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}, answer=silent) as gateway:
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, gateway.port)
        server = await running(site)
        try:
            await submit(site, PARTNER)
            await eventually(lambda: any(line.startswith("BDAT") for line in gateway.commands), "it has it")
            program = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "outgate", "--data", str(site.data), "--json", *command),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            done, told = await program.communicate()
        finally:
            server._deliverer._settings = server._deliverer._settings.model_copy(update={"stop_timeout": 0.1})
            await server.stop()
    assert program.returncode == 9
    assert json.loads(done), "what was saved is told all the same"
    error = json.loads(told)["error"]
    assert error["code"] == "not_in_force"
    assert "mail.example.com#0; it is among" in error["message"]
    assert "to carol@recipient.example by " in error["message"]
