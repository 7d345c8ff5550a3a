"""Tries a gateway the way delivery would: resolve, connect, TLS, log-in. Hands nothing over."""

import ssl

from outgate.deliver.connection import Connection, Link, Timeouts
from outgate.deliver.outcome import Outcome
from outgate.deliver.resolve import Resolver


async def probe(
    link: Link, host: str, resolver: Resolver, timeouts: Timeouts, verifying: ssl.SSLContext
) -> Outcome | None:
    """None if a message could be handed over now, else what stands in the way."""
    hosts = await resolver.host(host)
    if isinstance(hosts, Outcome):
        return hosts
    failed: Outcome | None = None
    for one in hosts:
        connection = Connection(one, link, timeouts, verifying)
        outcome = await connection.open()
        connection.hang_up()
        if outcome is None:
            return None
        failed = failed or outcome
    return failed
