"""One request of a program: for whom, what was sent, and how operations are called. Knows no method.

It is an operations.context.Transactions of the user that the token acts for.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import TypeVar

from starlette.requests import Request

from outgate.api.api_method import Resource
from outgate.api.api_services import ApiServices
from outgate.api.google_error import ApiError, invalid, no_scope
from outgate.frozen import frozen
from outgate.operations.request_transactions import RequestTransactions
from outgate.operations.token_operations import TokenHolder

SomeResource = TypeVar("SomeResource", bound=Resource)


@frozen
class ApiCall(RequestTransactions):
    """`parameters` are those of path and query that the method declares; `sent` is the body, if it takes one, and
    `media` the message that came beside or in place of it.
    """

    request: Request
    services: ApiServices
    holder: TokenHolder
    parameters: Mapping[str, str]
    sent: Resource | None = None
    media: bytes = field(default=b"", repr=False)

    @property
    def address(self) -> str:
        """The primary address of the user that the token acts for."""
        return self.holder.address

    def resource(self, kind: type[SomeResource]) -> SomeResource:
        """The body, of the kind that the method takes."""
        assert isinstance(self.sent, kind)
        return self.sent

    def repeated(self, name: str) -> list[str]:
        """All values of a parameter that may come several times."""
        return self.request.query_params.getlist(name)

    def moment(self, name: str) -> float | None:
        """A parameter as seconds since the epoch; None if it is not given. Raises ApiError."""
        text = self.parameters.get(name, "")
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo:
                return moment.timestamp()
        except (ValueError, OverflowError):
            pass
        raise invalid(f"Invalid value for {name}: it must be as in 2026-01-31T10:00:00Z.")

    def user(self) -> str:
        """Whom the path names: `me`, or the user that the token acts for. Raises ApiError for anybody else."""
        named = self.parameters["userId"]
        if named != "me" and named.lower() != self.address:
            raise ApiError(403, f"Delegation denied for {self.address}")
        return self.address

    def require_scope(self, *scopes: str) -> None:
        """Raises ApiError unless the token has one of these."""
        if not self.holder.token.scopes.intersection(scopes):
            raise no_scope(scopes)
