"""New keys for the vault while a server works: no message fails, and what is sealed meanwhile opens."""

import asyncio
import base64
import os
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from corpus.peer import RawPeer
from outgate import clock
from outgate.directory import users
from outgate.directory.gateway_settings import GatewaySettings, open_password
from outgate.installation import KEY_FILE
from outgate.model import Security
from outgate.sendas import gateways, send_as_addresses
from outgate.store import keyfile, sealed
from outgate.store.engine import read, write
from outgate.store.tables import fact
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, install, listens, serve
from way.submit import client, message

BOBS = "bob@dominiopartner.example"
NEW_PASSWORD = "set-during-rotation-{}"
ROTATIONS = 3


class Kms:
    """A command that prints what is in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "kms"
        self.command = [sys.executable, "-c", f"print(open('{self.path}').read())"]
        self.keys = dict([keyfile.new_key()])
        self._write()

    def add(self) -> None:
        self.keys |= dict([keyfile.new_key()])
        self._write()

    def drop_old(self) -> None:
        self.keys = dict([list(self.keys.items())[-1]])
        self._write()

    def _write(self) -> None:
        lines = [f"{key_id} {base64.b64encode(key).decode()}\n" for key_id, key in self.keys.items()]
        (temporary := self.path.with_suffix(".new")).write_text("".join(lines))
        temporary.replace(self.path)


async def outgate(site: Site, *arguments: str) -> str:
    command = [sys.executable, "-m", "outgate", "--data", str(site.data), *arguments]
    pipe = asyncio.subprocess.PIPE
    done = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=os.environ)
    out, err = await done.communicate()
    assert done.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("source", ["file", "command with SIGHUP", "command"])
async def test_no_message_fails_while_the_keys_change(tmp_path: Path, source: str) -> None:
    kms = Kms(tmp_path)
    top = {} if source == "file" else {"secret_key_command": kms.command}
    # A connection lives for a moment only, so that passwords are opened all the time.
    site = install(tmp_path / "outgate", top=top, delivery={"max_age": 0.02})
    passwords = {GATEWAY_PASSWORD} | {NEW_PASSWORD.format(number) for number in range(ROTATIONS)}
    context = site.authority.server_context(LOCALHOST)
    async with (
        RawPeer(tls=context, credentials={PARTNER: GATEWAY_PASSWORD}) as alices,
        AnyOf(tls=context, credentials={BOBS: GATEWAY_PASSWORD}, passwords=passwords) as bobs,
    ):
        await site.switch(on=True)
        await site.add_external("alice@example.com", PARTNER, alices.port)
        await site.add_external("bob@example.com", BOBS, bobs.port)
        process = await serve(site)
        try:
            await eventually(lambda: listens(site), "the server listens")
            stopping = asyncio.Event()
            load = asyncio.create_task(_load(site, stopping))
            rotations = 1 if source == "command" else ROTATIONS  # an unknown key is asked for once a minute
            for number in range(rotations):
                before = len(alices.messages)
                await eventually(lambda: len(alices.messages) > before + 20, "mail flows")  # noqa: B023 -- awaited here
                if source != "file":
                    kms.add()
                if source == "command with SIGHUP":
                    process.send_signal(signal.SIGHUP)
                await asyncio.gather(
                    outgate(site, "secrets", "rotate"), asyncio.to_thread(_set_password, site, bobs.port, number)
                )
                if source != "file":
                    kms.drop_old()
            before = len(alices.messages)
            await eventually(lambda: len(alices.messages) > before + 20, "mail flows after the last rotation")
            stopping.set()
            sent = await load
            await alices.wait_for(sent // 2, timeout=30)
            await bobs.wait_for(sent // 2, timeout=30)
        finally:
            process.terminate()
            await process.wait()
    assert alices.connections > rotations * 5
    place = site.place()
    with read(place.engine) as connection:
        kinds = set(connection.scalars(select(fact.c.kind)))
        assert not {"deferred", "bounced"} & kinds
        assert set(sealed.count_by_key(connection)) == set(_keys(site, kms, source))
        bob = users.find(connection, "bob@example.com").id
        entry = next(one for one in send_as_addresses.addresses(connection, bob) if one.address == BOBS)
        assert entry.gateway
        assert open_password(place.vault, entry.gateway) == NEW_PASSWORD.format(rotations - 1)
    place.engine.dispose()


def _keys(site: Site, kms: Kms, source: str) -> keyfile.Keys:
    return keyfile.read(site.data / KEY_FILE) if source == "file" else kms.keys


def _set_password(site: Site, port: int, number: int) -> None:
    place = site.place()
    with write(place.engine) as connection:
        bob = users.find(connection, "bob@example.com")
        server = GatewaySettings("localhost", port, Security.STARTTLS, BOBS, NEW_PASSWORD.format(number))
        gateways.set_gateway(connection, place.vault, bob.id, BOBS, server, clock.now())
    place.engine.dispose()


async def _load(site: Site, stopping: asyncio.Event) -> int:
    """Messages of alice and bob in turn, until told to stop; how many."""

    def work() -> int:
        sent = 0
        with client(site) as alice, client(site, "bob@example.com") as bob:
            while not stopping.is_set():
                alice.sendmail(PARTNER, ["carol@recipient.example"], message(PARTNER, f"Number {sent}"))
                bob.sendmail(BOBS, ["carol@recipient.example"], message(BOBS, f"Number {sent}"))
                sent += 2
        return sent

    return await asyncio.to_thread(work)


class AnyOf(RawPeer):
    """Takes any of several passwords: those set while others are still in use."""

    def __init__(self, *, passwords: set[str], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # a RawPeer's own
        self.credentials = _Passwords(passwords)  # type: ignore[assignment]  # compared by RawPeer alone


class _Passwords:
    def __init__(self, passwords: set[str]) -> None:
        self._passwords = passwords

    def get(self, _username: str) -> object:
        return _Any(self._passwords)


class _Any:
    def __init__(self, passwords: set[str]) -> None:
        self._passwords = passwords

    def __eq__(self, other: object) -> bool:
        return other in self._passwords

    __hash__ = None  # type: ignore[assignment]  # equal to several
