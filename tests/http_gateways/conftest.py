"""An installation whose user alice has gateways by the interfaces of a provider: one that gives tokens, and one that
takes mail for them.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, update

from http_gateways.mail_provider import MailProvider
from oauth.scripted_provider import ScriptedProvider
from outgate import clock
from outgate.directory import restrictions
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import GatewayKind, Restriction, Security
from outgate.operations import context, gateway_operations
from outgate.operations.actor import Actor
from outgate.store import tables
from outgate.store.engine import read, write
from way.place import LOCALHOST, Site, install

ALICE = "alice@example.com"
PARTNER = "alice@dominiopartner.example"


@dataclass
class Provided:
    """The installation, and both halves of its provider."""

    site: Site
    tokens: ScriptedProvider
    mail: MailProvider

    async def sign_in(self, kind: GatewayKind) -> None:
        """Alice has signed in for her address there, just now: for the first time, or again."""
        await asyncio.to_thread(self._sign_in, kind)

    def restrictions(self) -> list[Restriction]:
        """What holds mail of her gateway back."""
        place = self.site.place()
        with read(place.engine) as connection:
            found = [one for some in restrictions.load(connection).by_queue.values() for one in some]
        place.engine.dispose()
        return found

    def age_tokens(self, seconds: float) -> None:
        """As if they had been got so long ago."""
        place, columns = self.site.place(), tables.oauth_grant.c
        with write(place.engine) as connection:
            connection.execute(update(tables.oauth_grant).values(refreshed_at=columns.refreshed_at - seconds))
        place.engine.dispose()

    async def hold(self, number: int, *, held: bool) -> None:
        """Keep a recipient of whatever waits, or let them go."""
        await asyncio.to_thread(self._hold, number, held)

    def _hold(self, number: int, held: bool) -> None:
        place, columns = self.site.place(), tables.recipient.c
        with write(place.engine) as connection:
            connection.execute(update(tables.recipient).where(columns.number == number).values(held=held))
        place.engine.dispose()

    def last_reply(self, number: int) -> str:
        """Why a recipient waits."""
        place, columns = self.site.place(), tables.recipient.c
        with read(place.engine) as connection:
            found = connection.scalar(select(columns.last_reply).where(columns.number == number))
        place.engine.dispose()
        return found or ""

    def _sign_in(self, kind: GatewayKind) -> None:
        consent = self.tokens.sign_in(PARTNER)
        wanted = GatewaySettings("localhost", self.mail.port, Security.SSL, PARTNER, consent=consent, kind=kind)
        place = self.site.place()
        with context.writing(place.engine, place.vault, Actor.console("root"), clock.now()) as op:
            gateway_operations.set_gateway(op, ALICE, PARTNER, wanted)
        place.engine.dispose()


@pytest.fixture
def provided(tmp_path: Path) -> Iterator[Provided]:
    site = install(
        tmp_path / "outgate", dkim_key=False, delivery={"retry_first": 1, "retry_factor": 1}, egress={"ports": (587,)}
    )
    context = site.authority.server_context(LOCALHOST)
    with (
        ScriptedProvider(context, time.time) as tokens,
        MailProvider(context, tokens.whose) as mail,
    ):
        (site.data / "providers.toml").write_text(tokens.settings())
        yield Provided(site, tokens, mail)
