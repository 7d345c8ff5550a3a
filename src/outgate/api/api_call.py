"""One request of a program: for whom, what was sent, and how operations are called. Knows no method.

It is an operations.context.Transactions of the user that the token acts for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import field
from typing import ParamSpec, TypeVar

from starlette.requests import Request

from outgate.api.api_method import Resource
from outgate.api.api_services import ApiServices
from outgate.api.google_error import ApiError, no_scope
from outgate.frozen import frozen
from outgate.http.body_limit import body_of
from outgate.operations import context, waiting_mail
from outgate.operations.context import OperationContext
from outgate.operations.token_operations import TokenHolder
from outgate.operations.waiting_mail import LaterChange

P = ParamSpec("P")
R = TypeVar("R")
SomeResource = TypeVar("SomeResource", bound=Resource)


@frozen
class ApiCall:
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

    @property
    def body(self) -> bytes:
        """As it came."""
        return body_of(self.request)

    def resource(self, kind: type[SomeResource]) -> SomeResource:
        """The body, of the kind that the method takes."""
        assert isinstance(self.sent, kind)
        return self.sent

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

    # --- operations ------------------------------------------------------------------------------------------------

    def reading(self) -> AbstractContextManager[OperationContext]:
        """A transaction for operations that only look."""
        services = self.services
        return context.reading(services.engine, services.vault, self.holder.actor, services.now())

    @contextmanager
    def writing(self) -> Iterator[OperationContext]:
        """A transaction for operations that change something. Mail that waits is seen to afterwards: nobody waits."""
        services, later = self.services, list[LaterChange]()
        with context.writing(services.engine, services.vault, self.holder.actor, services.now(), later) as op:
            yield op
        if later:
            services.threads.run_later(waiting_mail.carry_out, services.engine, later)

    def writing_one_of_many(self) -> AbstractContextManager[OperationContext]:
        """As `writing`."""
        return self.writing()

    async def in_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call what uses the database from an `async` method."""
        return await self.services.threads.run(function, *args, **kwargs)
