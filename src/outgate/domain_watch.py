"""Asks the DNS from time to time whether the domains that were proven whole still have their record.

Without an answer nothing follows but what time brings: a record that was gone when the DNS answered last suspends its
domain when its days are over. A record that is gone is told to the log and to an administrator, each day until it is
back. Knows no mail: functions that it is given tell, and have what waits decided again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy import Engine

from outgate.advisor.ask import Names, NoAnswerNow
from outgate.directory.errors import NotFound
from outgate.sendas import proven_domains
from outgate.sendas.proven_domains import CHECK_EVERY, ProvenDomain
from outgate.store.engine import StoreUnavailable, read, write

LOOK_EVERY: Final = 3600.0  # seconds

_DAY: Final = 86400.0
_TEXT: Final = """\
The DNS of {domain} does not have the record any more that proves it:

    {name}. TXT "{value}"

{what} Have the record published again, then: outgate domain-proof check {domain}

You are told again tomorrow if it is still so. docs/domain-proof.md says more.
"""
_SOON: Final = "In {days} days the addresses in it can't be sent as any more, until it is back."
_NOW: Final = "The addresses in it can't be sent as until it is back."

_log = structlog.get_logger("domain-watch")

Tell = Callable[[str, str, str], Awaitable[None]]  # the domain, a subject and a text
Reconsider = Callable[[str], None]  # the domain; in a thread


class DomainWatch:
    """Looks each hour for domains that were not asked about for a day."""

    def __init__(
        self, engine: Engine, names: Names, now: Callable[[], float], tell: Tell, reconsider: Reconsider
    ) -> None:
        self._engine, self._names, self._now = engine, names, now
        self._tell, self._reconsider = tell, reconsider

    async def run(self) -> None:
        """Look, and again each hour, until it is cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.error("proven domains not looked at", error=str(error))
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Ask for what is due; suspend what has lapsed, whatever the DNS says."""
        for domain in await asyncio.to_thread(self._due):
            try:
                await self._look_for(domain)
            except NotFound:  # it was removed meanwhile
                continue
        for domain in await asyncio.to_thread(self._lapsed):
            await self._warn(domain)

    async def _look_for(self, domain: ProvenDomain) -> None:
        """Raises NotFound and StoreUnavailable."""
        try:
            texts = await self._names.texts(domain.record_name)
        except NoAnswerNow as error:
            _log.warning("no answer about a proven domain", domain=domain.name, reason=str(error))
            return
        found = await asyncio.to_thread(self._settled, domain, domain.record_value in texts)
        if found.missing_since is not None:
            await self._warn(found)

    def _lapsed(self) -> list[ProvenDomain]:
        """Those whose addresses were usable until now."""
        with read(self._engine) as connection:
            late = [
                one
                for one in proven_domains.domains(connection)
                if one.missing_since is not None
                and not one.is_usable(self._now())
                and proven_domains.lags(connection, one, self._now())
            ]
        return [one for one in late if self._suspended(one.name)]

    def _suspended(self, name: str) -> bool:
        with write(self._engine) as connection, suppress(NotFound):
            return not proven_domains.settle_lapse(connection, name, self._now()).is_usable(self._now())
        return False

    def _due(self) -> list[ProvenDomain]:
        with read(self._engine) as connection:
            proven = [one for one in proven_domains.domains(connection) if one.proven_at is not None]
        return [one for one in proven if self._now() - (one.checked_at or 0.0) >= CHECK_EVERY]

    def _settled(self, domain: ProvenDomain, is_published: bool) -> ProvenDomain:
        with write(self._engine) as connection:
            found = proven_domains.settle_check(connection, domain.name, is_published, self._now())
        if found.is_back(domain):
            self._reconsider(domain.name)
        return found

    async def _warn(self, domain: ProvenDomain) -> None:
        usable = domain.is_usable(self._now())
        _log.warning("the record of a proven domain is gone", domain=domain.name, usable=usable)
        days = max(1, round(((domain.suspended_from or 0.0) - self._now()) / _DAY))
        what = _SOON.format(days=days) if usable else _NOW
        text = _TEXT.format(domain=domain.name, name=domain.record_name, value=domain.record_value, what=what)
        await self._tell(domain.name, f"The DNS does not prove {domain.name} any more", text)
