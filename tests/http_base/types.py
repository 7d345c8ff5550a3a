"""Types of the fixtures."""

from collections.abc import Awaitable, Callable

import httpx2

Serve = Callable[..., Awaitable[int]]  # routes, and settings by name: the port
ClientOf = Callable[[int], httpx2.AsyncClient]
Exchange = Callable[..., Awaitable[bytes]]  # a port, and what is said: what is answered until the end
