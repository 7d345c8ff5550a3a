"""Outgate's own API: what Gmail's form of From addresses has no call for."""

from typing import Final

from pydantic import Field

from outgate.api.api_call import ApiCall
from outgate.api.api_method import ApiMethod, Resource
from outgate.api.own_method import own_method
from outgate.operations import confirmation_operations, send_as_operations

_ALICE: Final = "alice@example.com"
_PARTNER: Final = "alice@dominiopartner.example"


class MailedCode(Resource):
    """What was mailed to an address, entered by whoever reads it."""

    user: str = Field("me", description="The user's primary address, or `me`: the one that the token acts for.")
    address: str = Field(description="The From address.", examples=[_PARTNER])
    code: str = Field(description="The nine digits.", examples=["123456789"], max_length=100)


class ConfirmedAddress(Resource):
    """A From address that is its user's."""

    user: str = Field(description="Whose it is.", examples=[_ALICE])
    address: str = Field(description="The address.", examples=[_PARTNER])
    confirmed: bool = Field(description="Whether it can be sent from.", examples=[True])


def verify(call: ApiCall) -> ConfirmedAddress:
    """By the code; one that is wrong counts, as on the pages."""
    sent = call.resource(MailedCode)
    user = call.address if sent.user == "me" else sent.user
    with call.writing() as op:
        entry = confirmation_operations.verify(op, user, sent.address, sent.code)
    return ConfirmedAddress(user=user, address=entry.address, confirmed=entry.verified)


class AddressToTransfer(Resource):
    """A From address that is to be another user's."""

    user: str = Field("me", description="Whose it is: a primary address, or `me`.", examples=[_ALICE])
    address: str = Field(description="The From address.", examples=[_PARTNER])
    to: str = Field(description="The primary address of whom it is given to.", examples=["bob@example.com"])


def transfer(call: ApiCall) -> ConfirmedAddress:
    """To another user, whom a code is mailed to if the address is outside."""
    sent = call.resource(AddressToTransfer)
    user = call.address if sent.user == "me" else sent.user
    with call.writing() as op:
        entry = send_as_operations.transfer(op, user, sent.address, sent.to, call.services.confirmation)
    return ConfirmedAddress(user=sent.to, address=entry.address, confirmed=entry.verified)


METHODS: Final[tuple[ApiMethod, ...]] = (
    own_method(
        confirmation_operations.verify, "POST", "send-as/verify", verify, takes=MailedCode, gives=ConfirmedAddress
    ),
    own_method(
        send_as_operations.transfer,
        "POST",
        "send-as/transfer",
        transfer,
        takes=AddressToTransfer,
        gives=ConfirmedAddress,
    ),
)
