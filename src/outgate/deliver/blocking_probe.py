"""The probe for those who have no event loop of their own: each try in a loop that begins and ends with it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from outgate.deliver.probe import Probed, Prober, ProbeRates
from outgate.model import Gateway

_FAREWELL_SECONDS = 0.2


class BlockingProbe:
    """Tries gateways for one asker: a user, who is limited and told what users may know, or the console (no name).

    What it returns is empty if the gateway works.
    """

    def __init__(self, prober: Prober, rates: ProbeRates, user: str) -> None:
        self._prober, self._rates, self._user = prober, rates, user

    def user_gateway(self, gateway: Gateway, secret: str, sender: str) -> str:
        """Try a user's gateway."""
        if self._user:
            return _run(self._prober.gateway_for(self._user, gateway, secret, self._rates, sender=sender)).public
        return _run(self._prober.gateway(gateway, secret, sender)).detail

    def domain_gateway(self, gateway: Gateway, secret: str) -> str:
        """Try the organisation's gateway."""
        return _run(self._prober.domain_gateway(gateway, secret)).detail


def _run(trial: Coroutine[Any, Any, Probed]) -> Probed:
    async def to_the_end() -> Probed:
        probed = await trial
        await asyncio.sleep(_FAREWELL_SECONDS)  # the loop ends here, and QUIT with the end of TLS is still on its way
        return probed

    return asyncio.run(to_the_end())
