"""One request of an identity provider: whose token it came with, and how operations are called. Knows no protocol.

It is an operations.context.Transactions of the actor that the token makes.
"""

from typing import Protocol

from outgate.api.api_services import ApiServices
from outgate.frozen import frozen
from outgate.operations.context import Transactions
from outgate.operations.request_transactions import RequestTransactions
from outgate.operations.scim_token_operations import ScimHolder


class ProvidersCall(Transactions, Protocol):
    """What the protocol has of a request beside its words."""

    @property
    def unit(self) -> str:
        """Where new users are put, and others are looked for."""


@frozen
class ScimCall(RequestTransactions):
    """A ProvidersCall over HTTP."""

    services: ApiServices
    holder: ScimHolder

    @property
    def unit(self) -> str:
        """The token's."""
        return self.holder.token.unit
