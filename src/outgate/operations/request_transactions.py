"""How operations are called for a request over HTTP: what pages and API have in common. Knows neither of them.

It is an operations.context.Transactions of whoever the request is from.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from sqlalchemy import Engine

from outgate.operations import context, waiting_mail
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.operations.waiting_mail import LaterChange
from outgate.store.vault import Vault

P = ParamSpec("P")
R = TypeVar("R")


class RequestThreads(Protocol):
    """Where the database is used (http.database_threads)."""

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function, and wait for it."""

    def run_later(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call a function that no request waits for."""


class _Services(Protocol):
    @property
    def engine(self) -> Engine: ...
    @property
    def vault(self) -> Vault: ...
    @property
    def now(self) -> Callable[[], float]: ...
    @property
    def threads(self) -> RequestThreads: ...


class _Holder(Protocol):
    @property
    def actor(self) -> Actor: ...


class RequestTransactions:
    """What a request is made of has `services` and `holder`."""

    __slots__ = ()

    if TYPE_CHECKING:  # a dataclass would take them for its fields' defaults

        @property
        def services(self) -> _Services: ...
        @property
        def holder(self) -> _Holder: ...

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
        """Call what uses the database from an `async` function."""
        return await self.services.threads.run(function, *args, **kwargs)
