"""A gateway is tried on the event loop before it is saved: no thread of the database's waits for somebody's server.

The rules are those of operations.gateway_trial.
"""

from collections.abc import Collection
from typing import Final, TypeVar

from outgate.api.api_call import ApiCall
from outgate.api.google_error import ApiError
from outgate.deliver.probe import TOO_OFTEN, Probed, ProbeStep
from outgate.directory.change import compared
from outgate.directory.gateway_settings import GatewaySettings
from outgate.model import Gateway
from outgate.operations.context import Change, rehearse
from outgate.operations.error_codes import CheckFailed
from outgate.operations.gateway_operations import GatewayToTry
from outgate.operations.gateway_trial import GatewayUnusable, tentative
from outgate.store.rates import Rates

T = TypeVar("T")

# What was not done, by the step that is missing.
_FAILED: Final = {
    ProbeStep.CONNECTED: "connecting failed",
    ProbeStep.SECURED: "securing the connection (TLS) failed",
    ProbeStep.LOGGED_IN: "logging in failed",
    ProbeStep.SENDER_ACCEPTED: "the sender was refused",
}


async def save_after_trial(call: ApiCall, change: Change[T], settings: GatewaySettings | None, address: str) -> T:
    """Make a change of an address or a grant of one, after its gateway was tried if it is given one. Raises ApiError,
    GatewayUnusable, and what the change does.
    """
    if settings:
        await call.in_thread(rehearse, call, change)
        probed, failed = await tried(call, call.address, tentative(settings), settings.secret, compared(address))
        if not probed.works:
            raise GatewayUnusable(settings, f"{failed}: {probed.public}")

    def save() -> T:
        with call.writing() as op:
            return change(op)

    return await call.in_thread(save)


async def tried(call: ApiCall, user: str, gateway: Gateway, secret: str, sender: str) -> tuple[Probed, str]:
    """What comes of trying a gateway for an address (in compared form), and the step that was not done; it counts for
    the user. Raises ApiError if it was not tried, since others were just now.
    """
    done: set[ProbeStep] = set()
    services = call.services
    probed = await services.prober.gateway_for(
        user,
        gateway,
        secret,
        Rates(services.engine, services.now),
        told=lambda step, _detail: done.add(step),
        sender=sender,
    )
    if probed.public == TOO_OFTEN:
        raise ApiError(429, "Gateways were tried too often; try again later.", headers={"Retry-After": "600"})
    return probed, failed_step(done)


async def tried_as_it_is(call: ApiCall, user: str, wanted: GatewayToTry) -> tuple[Probed, str]:
    """The same of a gateway that there is, by a token if it was signed in to."""
    gateway = wanted.gateway
    try:
        secret = await call.services.token_of(gateway) if gateway.provider else wanted.password
    except CheckFailed as error:
        return Probed(str(error), str(error)), failed_step(())
    return await tried(call, user, gateway, secret, compared(wanted.address))


def failed_step(done: Collection[ProbeStep]) -> str:
    """What was not done, in words."""
    return _FAILED[next((step for step in ProbeStep if step not in done), ProbeStep.SENDER_ACCEPTED)]
