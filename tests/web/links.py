"""Links as they are mailed, and what became of them as the database has it. Used in threads: the server's loop runs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from outgate import clock
from outgate.directory import accounts, users
from outgate.installation import Installation
from outgate.record import audit_trail
from outgate.record.audit_trail import AuditFilter
from outgate.sendas import send_as_addresses, verification
from outgate.store.engine import read, write
from way.place import Site

ALICE = "alice@example.com"
PARTNER = "alice@dominiopartner.example"


@contextmanager
def opened(site: Site) -> Iterator[Installation]:
    """The installation beside its running server. Raises RuntimeError on a loop: the server's own writes, in the same
    process, want that loop while they hold the database's lock, which would be waited for here.
    """
    if _on_a_loop():
        raise RuntimeError("the database of a running server is opened in a thread: await asyncio.to_thread(...)")
    place = site.place()
    try:
        yield place
    finally:
        place.engine.dispose()


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def new_token(site: Site, *, now: float | None = None, language: str = "en") -> str:
    """What the link has at its end, of Alice's address at the partner, which is added if it is not there."""
    now = clock.now() if now is None else now
    with opened(site) as place, write(place.engine) as connection:
        users.edit(connection, ALICE, language=language)
        alice = users.find(connection, ALICE).id
        if PARTNER not in {one.address for one in send_as_addresses.addresses(connection, alice)}:
            send_as_addresses.add(connection, alice, PARTNER, now)
        return verification.start(connection, place.vault, alice, PARTNER, now).token


def is_verified(site: Site) -> bool:
    """Whether Alice may use the address."""
    with opened(site) as place, read(place.engine) as connection:
        account = accounts.find(connection, ALICE)
    assert account
    return account.send_as[PARTNER].verified


def trail(site: Site) -> list[tuple[str, str, str]]:
    """The audit trail of links, oldest first: outcome, target, peer. It must be whole."""
    with opened(site) as place, read(place.engine) as connection:
        assert not audit_trail.verify(connection, place.vault)
        found = [one.entry for one in audit_trail.search(connection, AuditFilter(operation="send-as.verify"))][::-1]
    return [(one.outcome, one.target, one.peer) for one in found]
