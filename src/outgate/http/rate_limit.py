"""How often a peer may ask for one path, counted in the database: it holds over processes, nodes and restarts."""

import math

from starlette.exceptions import HTTPException
from starlette.types import Scope

from outgate.http.client_address import peer_network
from outgate.http.database_threads import DatabaseThreads
from outgate.http.http_route import HttpRoute
from outgate.store.rates import Rates


class RateLimit:
    """The rates that routes declare, each counted for itself."""

    def __init__(self, rates: Rates, threads: DatabaseThreads) -> None:
        self._rates, self._threads = rates, threads

    async def count(self, scope: Scope, route: HttpRoute) -> None:
        """Count a request. Raises HTTPException (429, with when to come again), store.engine.StoreUnavailable."""
        if not route.rate:
            return
        if wait := await self._threads.run(self._seconds_to_wait, route.rate, key(route.path, peer_network(scope))):
            raise HTTPException(429, headers={"Retry-After": str(wait)})

    def _seconds_to_wait(self, rate: str, key: tuple[str, ...]) -> int:
        """0 if the request may be answered, which is counted."""
        if self._rates.hit(rate, *key):
            return 0
        return max(1, math.ceil(self._rates.seconds_left(rate, *key)))


def key(path: str, network: str) -> tuple[str, ...]:
    """What is counted: a network's requests to one route's path."""
    return "http", path, network
