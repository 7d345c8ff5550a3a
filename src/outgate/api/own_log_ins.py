"""Outgate's own API: what is locked after failed log-ins, and letting it in again."""

from ipaddress import ip_network
from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, ApiParameter, Resource
from outgate.api.google_error import invalid
from outgate.api.own_method import own_method
from outgate.api.own_queue_resources import MOMENT
from outgate.directory.log_in_limits import Locked
from outgate.iso_time import iso
from outgate.operations import log_in_operations

_NETWORK: Final = "192.0.2.0/24"


class LockedLogIns(Resource):
    """An account, a network, or an account from a network, that had too many failures."""

    account: str | None = Field(None, description="The account; left out: all.", examples=["alice@example.com"])
    network: str | None = Field(None, description="The network; left out: all.", examples=[_NETWORK])
    until: str = Field(description="When it may be tried again.", examples=[MOMENT])

    @classmethod
    def of(cls, one: Locked) -> "LockedLogIns":
        """As it is now."""
        return cls(account=one.account or None, network=one.network or None, until=iso(one.until))


class LockedList(Resource):
    """What is locked after failed log-ins."""

    items: list[LockedLogIns] = Field(description="What is locked.")


class NetworkToUnlock(Resource):
    """A network that may try again."""

    network: str = Field(description="The network, or an address in it.", examples=[_NETWORK], max_length=100)


class UnlockedNetwork(Resource):
    """A network that may try again, whatever the account."""

    network: str = Field(description="The network.", examples=[_NETWORK])
    failures: int = Field(description="How many counts of failures were forgotten.", examples=[5])


class UnlockedUser(Resource):
    """A user who may try to log in again."""

    failures: int = Field(description="How many failures were forgotten.", examples=[5])


def locked(call: ApiCall) -> LockedList:
    """All that is."""
    with call.reading() as op:
        return LockedList(
            items=[LockedLogIns.of(one) for one in log_in_operations.locked(op, call.services.log_in_limits)]
        )


def unlock_network(call: ApiCall) -> UnlockedNetwork:
    """For all accounts."""
    text = call.resource(NetworkToUnlock).network
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise invalid(f"Invalid value at 'network': '{text}' is no network; write {_NETWORK} or 192.0.2.7.") from None
    with call.writing() as op:
        return UnlockedNetwork(network=str(network), failures=log_in_operations.unlock_network(op, network))


def unlock_user(call: ApiCall) -> UnlockedUser:
    """From everywhere."""
    with call.writing() as op:
        return UnlockedUser(failures=log_in_operations.unlock_user(op, call.parameters["user"]))


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(log_in_operations.locked, "GET", "log-ins/locked", locked, gives=LockedList),
    own_method(
        log_in_operations.unlock_network,
        "POST",
        "log-ins/unlock",
        unlock_network,
        takes=NetworkToUnlock,
        gives=UnlockedNetwork,
    ),
    own_method(
        log_in_operations.unlock_user,
        "POST",
        "users/{user}/unlock",
        unlock_user,
        ApiParameter("user", "The user's primary address."),
        gives=UnlockedUser,
    ),
)
