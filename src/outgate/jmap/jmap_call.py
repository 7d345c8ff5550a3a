"""One request of a program, as its methods see it: for whom, what was made so far, and how operations are called.

It is an operations.context.Transactions of the user that the token acts for. Knows no method.
"""

from dataclasses import field

from outgate.api.api_services import ApiServices
from outgate.frozen import frozen
from outgate.jmap.jmap_fault import MethodFault
from outgate.operations.request_transactions import RequestTransactions
from outgate.operations.token_operations import TokenHolder
from outgate.queue.queue_id import QueueIds


@frozen
class JmapCall(RequestTransactions):
    """`created` are the ids of what was made, by the program's own names for it (RFC 8620 5.3); `key` is what the
    request may be repeated by, empty for nothing; `body` the request as it was sent; `number` which of its methods is
    called.
    """

    services: ApiServices
    holder: TokenHolder
    created: dict[str, str]
    key: str = ""
    body: bytes = field(default=b"", repr=False)
    number: int = 0
    queue_ids: QueueIds = field(default_factory=QueueIds)

    @property
    def address(self) -> str:
        """The primary address of the user that the token acts for."""
        return self.holder.address

    @property
    def account(self) -> str:
        """The user's account, as JMAP names it."""
        return account_of(self.holder)

    def has_scope(self, *scopes: str) -> bool:
        """Whether the token has one of these."""
        return bool(self.holder.token.scopes.intersection(scopes))

    def require_scope(self, *scopes: str) -> None:
        """Raises MethodFault unless the token has one of these."""
        if not self.has_scope(*scopes):
            raise MethodFault("forbidden", f"the token has none of these scopes: {' '.join(scopes)}")

    def resolved(self, identity: str) -> str:
        """An id, or the one of what was made under the name that it is a reference to."""
        return self.created.get(identity[1:], identity) if identity.startswith("#") else identity


def account_of(holder: TokenHolder) -> str:
    """How JMAP names the account of the user that the token acts for."""
    return f"A{holder.token.account_id}"
