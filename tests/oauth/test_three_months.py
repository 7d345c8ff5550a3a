"""Three months of two nodes in simulated time, with consents that end, are revoked, rotated and used twice."""

import asyncio
import re
import shutil
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.policy import default
from itertools import pairwise
from pathlib import Path

import pytest
from bench.scratch import free_port
from sqlalchemy import select

from corpus.peer import RawPeer
from oauth.scripted_provider import ScriptedProvider
from outgate import clock, wiring
from outgate.deliver import deliverer
from outgate.directory.gateway_settings import GatewaySettings
from outgate.installation import Installation
from outgate.model import Security
from outgate.operations import gateway_operations
from outgate.operations.actor import Actor
from outgate.operations.context import writing
from outgate.store import tables
from outgate.store.engine import read
from way.place import LOCALHOST, Site, eventually, install, running
from way.submit import message, submit

DAY = 86400.0
STEP = DAY
ALICE, BOB = "alice@example.com", "bob@example.com"
ALICES, BOBS = "alice@dominiopartner.example", "bob@dominiopartner.example"
pytestmark = pytest.mark.usefixtures("untraced")


@dataclass
class Clock:
    time: float

    def __call__(self) -> float:
        return self.time


@dataclass
class TwoNodes:
    """The two nodes, the provider and the partner's server."""

    clock: Clock
    provider: ScriptedProvider
    sites: tuple[Site, Site]
    servers: tuple[wiring.ServerProcess, wiring.ServerProcess]
    peer: RawPeer
    place: Installation
    sent: int = 0

    async def send(self, account: str, address: str) -> None:
        """A message by one of the nodes, in turn."""
        self.sent += 1
        content = message(address, f"number {self.sent}")
        await submit(self.sites[self.sent % 2], address, content=content, account=account)
        await eventually(self._has_settled, "it is tried before time goes on")

    async def sign_in(self, account: str, address: str) -> None:
        """What the command and the page do once the provider has given its tokens."""
        consent = self.provider.sign_in(address)
        wanted = GatewaySettings("localhost", self.peer.port, Security.STARTTLS, address, consent=consent)

        def save() -> None:
            with writing(self.place.engine, self.place.vault, Actor.console("test"), self.clock()) as op:
                gateway_operations.set_gateway(op, account, address, wanted)

        await asyncio.to_thread(save)

    async def pass_on(self, seconds: float = STEP) -> None:
        """Time goes on, and what is due is done."""
        self.clock.time += seconds
        await asyncio.gather(*(server._tokens.refresh_idle() for server in self.servers))
        await eventually(self._has_settled, f"all is tried that is due at {self.clock.time}")

    def _has_settled(self) -> bool:
        recipient = tables.recipient.c
        with read(self.place.engine) as connection:
            due = connection.execute(select(recipient.due_at).where(recipient.due_at <= self.clock.time)).first()
        return due is None

    def waiting(self) -> int:
        with read(self.place.engine) as connection:
            return len(connection.execute(select(tables.recipient.c.number)).all())


def _second_node(first: Site, data: Path) -> Site:
    shutil.copytree(first.data, data)
    second = replace(first, data=data, starttls=free_port(), tls=free_port())
    settings = (data / "outgate.toml").read_text()
    for old, new in ((first.starttls, second.starttls), (first.tls, second.tls)):
        settings = settings.replace(f"port = {old}\n", f"port = {new}\n")
    (data / "outgate.toml").write_text(settings.replace('"mail.example.com"', '"mail2.example.com"', 1))
    return second


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_three_months_of_two_nodes(
    tmp_path: Path, new_postgresql: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(new_postgresql)
    simulated = Clock(clock.now())
    monkeypatch.setattr(clock, "now", simulated)
    monkeypatch.setattr(deliverer, "POLL", 0.02)
    url = new_postgresql()
    # No connection is used twice: each message needs a token.
    first = install(
        tmp_path / "one",
        database_url=url,
        top={"database_url": url},
        delivery={"max_age": 0.001, "connect_timeout": 10},
    )
    context = first.authority.server_context(LOCALHOST)
    with ScriptedProvider(context, simulated) as provider:
        (first.data / "providers.toml").write_text(provider.settings("trial_days = 7"))
        second = _second_node(first, tmp_path / "two")
        for account, address in ((ALICE, ALICES), (BOB, BOBS)):
            await first.add_external(account, address)
        async with RawPeer(tls=context, bearer=provider.whose) as peer:
            await first.switch(on=True)
            servers, place = (await running(first), await running(second)), first.place()
            try:
                await _live(TwoNodes(simulated, provider, (first, second), servers, peer, place))
            finally:
                place.engine.dispose()
                for server in servers:
                    await server.stop()
    subjects = [re.search(rb"Subject: (number \d+)", one.content) for one in peer.messages]
    arrived = [found[1] for found in subjects if found]
    assert sorted(arrived) == sorted(f"number {number}".encode() for number in range(1, 93)), "each arrives, and once"
    assert provider.collisions == 0
    said = capsys.readouterr()
    assert "tokens refreshed" in said.out + said.err
    found = [token for token in provider.secrets if token in said.out + said.err]
    assert not found
    assert not [token for token in provider.secrets if token in _record(first)]
    notices = _notices(first)
    assert len(notices) == 3, "one for each of the consents that ended"
    assert sum("Testing" in one for one in notices) == 1
    bobs = [at for user, at in provider.refreshes if user == BOBS]
    assert all(later - sooner <= 8 * DAY for sooner, later in pairwise(bobs))


async def _live(there: TwoNodes) -> None:
    provider = there.provider
    await there.sign_in(ALICE, ALICES)
    await there.sign_in(BOB, BOBS)
    for step in range(90):
        match step:  # a day
            case 20:  # the provider is down for a day
                provider.whim = lambda _user: (503, {"Retry-After": "1800"}, {})
            case 21:
                provider.whim = lambda _user: None
            case 30 | 47:  # she takes her consent back; on day 40 she had signed in anew, and 7 days later a trial ends
                provider.revoke(ALICES)
            case 32 | 40 | 48:  # repaired
                await there.sign_in(ALICE, ALICES)
                await there.pass_on(60)
                assert there.waiting() == 0, "what waited leaves by itself"
            case 60:  # somebody else uses an old refresh token: the provider ends the consent
                stolen = next(iter(provider.consents[ALICES].used))
                provider.token_for({"grant_type": "refresh_token", "refresh_token": stolen})
            case 62:
                await there.sign_in(ALICE, ALICES)
            case 75:  # access tokens are void before their time
                provider.consents[ALICES].access.clear()
        await there.send(ALICE, ALICES)
        if step in (2, 88):
            await there.send(BOB, BOBS)
        await there.pass_on()
    await there.pass_on(6 * 3600)
    await there.pass_on(6 * 3600)
    assert there.waiting() == 0


def _record(site: Site) -> str:
    """All that is recorded, as text."""
    place = site.place()
    with read(place.engine) as connection:
        facts = connection.execute(select(tables.fact.c.detail)).scalars().all()
        entries = connection.execute(select(tables.audit.c.detail)).scalars().all()
        replies = connection.execute(select(tables.recipient.c.last_reply)).scalars().all()
    place.engine.dispose()
    return "\n".join(str(one) for one in (*facts, *entries, *replies))


def _notices(site: Site) -> list[str]:
    """The messages that alice and bob were sent to sign in again, in their mailboxes."""
    found = [file for mailbox in (site.data, site.data.with_name("two")) for file in mailbox.glob("mail/*/new/*")]
    read_ = [message_from_bytes(file.read_bytes(), policy=default) for file in found]
    return [str(one.get_content()) for one in read_ if "Sign in again" in one["Subject"]]
