"""Looks in the DNS for the records of new DKIM keys, and changes over to them; says when those of former ones may go.

Without an answer all stays as it is. Knows no mail: a function that it is given tells an administrator.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from sqlalchemy import Engine

from outgate.advisor.ask import Names
from outgate.directory import domain_keys, organisation
from outgate.directory.dns_records import key_record, zone_line
from outgate.directory.domain_keys import KeyPlace, KeysSettled
from outgate.directory.errors import NotFound
from outgate.directory.organisation import Domain
from outgate.key_look import look_for_keys
from outgate.operations import domain_operations
from outgate.operations.actor import Actor
from outgate.operations.context import writing
from outgate.store.engine import StoreUnavailable, read
from outgate.store.vault import Vault

LOOK_EVERY: Final = 900.0  # seconds

_BEGUN: Final = """\
All records of {domain}'s new DKIM keys are in the DNS, so its mail is signed with these from now on:

{begun}

The records of the former keys must stay for {days} days more, as mail that was signed with them is still on its way.
You are told when they may be removed:

{retired}
"""
_REMOVABLE: Final = """\
No mail is on its way any more that was signed with these former DKIM keys of {domain}. Remove their records from the
DNS:

{records}
"""
_DAY: Final = 86400.0

_log = structlog.get_logger("key-watch")

Tell = Callable[[str, str, str], Awaitable[None]]  # the domain, a subject and a text


class KeyWatch:
    """Looks again and again for domains of which something is awaited."""

    def __init__(self, engine: Engine, vault: Vault, names: Names, now: Callable[[], float], tell: Tell) -> None:
        self._engine, self._vault, self._names, self._now, self._tell = engine, vault, names, now, tell

    async def run(self) -> None:
        """Look, and again each quarter of an hour, until it is cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.error("DKIM keys not looked for", error=str(error))
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Ask for what is due, and do what follows."""
        for domain in await asyncio.to_thread(self._due):
            await self._look_for(domain)

    async def _look_for(self, domain: Domain) -> None:
        def settled(published: frozenset[KeyPlace], gone: frozenset[KeyPlace]) -> Awaitable[KeysSettled]:
            return asyncio.to_thread(self._settled, domain.name, published, gone)

        try:
            look = await look_for_keys(self._names, domain, self._now(), settled)
        except NotFound:  # it was removed meanwhile
            return
        await self._tell_of(domain, look.done)

    def _due(self) -> list[Domain]:
        with read(self._engine) as connection:
            domains = organisation.domains(connection)
        return [one for one in domains if one.waiting or any(key.is_removable(self._now()) for key in one.retired)]

    async def _tell_of(self, domain: Domain, done: KeysSettled) -> None:
        if done.begun:
            days = round(domain_keys.RECORD_STAYS / _DAY)
            begun, retired = _lines(domain, done.begun), _lines(domain, done.retired) or "(none)"
            text = _BEGUN.format(domain=domain.name, begun=begun, days=days, retired=retired)
            await self._tell(domain.name, f"{domain.name} is signed with new DKIM keys", text)
        if done.removable:
            text = _REMOVABLE.format(domain=domain.name, records=_lines(domain, done.removable))
            await self._tell(domain.name, f"Records of former DKIM keys of {domain.name} may be removed", text)

    def _settled(self, name: str, published: frozenset[KeyPlace], gone: frozenset[KeyPlace]) -> KeysSettled:
        with writing(self._engine, self._vault, Actor.server(), self._now()) as op:
            done = domain_operations.settle_keys(op, name, published=published, gone=gone)
        _log.info("DKIM keys settled", domain=name, begun=done.begun, retired=done.retired, forgotten=done.forgotten)
        return done


def _lines(domain: Domain, selectors: tuple[str, ...]) -> str:
    """The records, as lines of a zone file."""
    chosen = [one for one in domain.keys if one.selector in selectors]
    return "\n".join(f"    {zone_line(key_record(domain.name, one))}" for one in chosen)
