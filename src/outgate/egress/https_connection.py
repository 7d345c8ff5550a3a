"""One connection to a host by HTTPS (HTTP/1.1, RFC 9112) that is kept for one request after the other. Knows nothing of
what is in them.

Connects to addresses that were checked, with the host's name in SNI and in the verification of the certificate.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Final

import httpcore2

from outgate.egress.https_client import HTTPS, MAX_BYTES, Fetched, content_of
from outgate.egress.resolver import Host

BODY: Final = 10.0  # seconds for the body of an answer whose status is there

# What may go wrong with a peer; a TLS fault after the handshake comes through httpcore2 as it is (OSError).
_FAULTS: Final = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError)


class HttpsFault(Exception):
    """The connection can't be used any more, or there is none; the text says why. `is_of_tls`: no secure one."""

    def __init__(self, reason: str, *, is_of_tls: bool = False) -> None:
        super().__init__(reason)
        self.is_of_tls = is_of_tls


class HttpsConnection:
    """To one address of a host. Times in seconds."""

    def __init__(self, host: Host, port: int, context: ssl.SSLContext) -> None:
        self._host, self._port, self._context = host, port, context
        self.peer = f"{host.name}[{host.address}]:{port}"
        self.tls = ""
        self.requests = 0
        self._origin = httpcore2.Origin(b"https", host.name.encode(), port)
        self._connection: httpcore2.AsyncHTTP11Connection | None = None
        self._raw: httpcore2.AsyncNetworkStream | None = None

    async def connect(self, patience: float) -> None:
        """As far as TCP. Raises HttpsFault."""
        try:
            self._raw = await httpcore2.AnyIOBackend().connect_tcp(self._host.address, self._port, patience)
        except httpcore2.TimeoutException:
            raise HttpsFault("timed out while connecting") from None
        except _FAULTS as error:
            raise HttpsFault(f"could not connect: {_words(error)}") from None

    async def secure(self, patience: float) -> None:
        """TLS, after `connect`. Raises HttpsFault."""
        assert self._raw
        try:
            stream = await self._raw.start_tls(self._context, self._host.name, patience)
        except httpcore2.TimeoutException:
            raise HttpsFault("timed out in the TLS handshake", is_of_tls=True) from None
        except _FAULTS as error:
            raise HttpsFault(_tls_words(error), is_of_tls=True) from None
        except BaseException:
            self.hang_up()  # a handshake that is cancelled leaves the socket open
            raise
        self.tls = str(stream.get_extra_info("ssl_object").version())
        self._connection = httpcore2.AsyncHTTP11Connection(self._origin, stream)

    def is_to(self, name: str, port: int) -> bool:
        """Whether it is this host's."""
        return (self._host.name, self._port) == (name, port)

    @property
    def is_usable(self) -> bool:
        """Whether it lies idle, or is new, and the peer has not closed it."""
        connection = self._connection
        if connection is None or connection.is_closed():
            return False
        return (self.requests == 0 or connection.is_idle()) and not connection.has_expired()

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        size: int,
        content: AsyncIterator[bytes],
        patience: float,
        longest: int = MAX_BYTES,
    ) -> Fetched:
        """The answer to a request with `size` bytes; `patience` is for each step of it. Its content is empty where that
        is lost or longer than so many bytes: the status is an answer. Raises HttpsFault.
        """
        assert self._connection
        self.requests += 1
        url = httpcore2.URL(scheme=b"https", host=self._origin.host, port=self._port, target=target.encode())
        host = self._host.name if self._port == HTTPS else f"{self._host.name}:{self._port}"
        sent = {
            "Host": host,
            "User-Agent": "Outgate",
            "Accept-Encoding": "identity",
            "Content-Length": str(size),
            **headers,
        }
        request = httpcore2.Request(
            method,
            url,
            headers=[(name.encode(), text.encode()) for name, text in sent.items()],
            content=content,
            extensions={"timeout": {"read": patience, "write": patience}},
        )
        try:
            answer = await self._connection.handle_async_request(request)
        except _FAULTS as error:
            raise HttpsFault(_words(error)) from None
        found = await self._content_of(answer, longest)
        names = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in answer.headers}
        return Fetched(f"https://{host}{target}", answer.status, found, names)

    async def _content_of(self, answer: httpcore2.Response, longest: int) -> bytes:
        """Its body, if it comes whole; after any other the connection is of no use."""
        try:
            async with asyncio.timeout(BODY):
                if (found := await content_of(answer, longest)) is not None:
                    await answer.aclose()
                    return found
        except _FAULTS:
            pass
        self.hang_up()
        return b""

    def hang_up(self) -> None:
        """No more is asked; the socket is closed soon."""
        closing, self._connection, self._raw = self._connection or self._raw, None, None
        if closing:
            task = asyncio.get_running_loop().create_task(_closed(closing))
            _CLOSING.add(task)
            task.add_done_callback(_CLOSING.discard)


_CLOSING: Final[set[asyncio.Task[None]]] = set()  # the loop itself keeps none alive


async def _closed(one: httpcore2.AsyncHTTP11Connection | httpcore2.AsyncNetworkStream) -> None:
    with suppress(*_FAULTS):
        await one.aclose()


def _words(error: Exception) -> str:
    """What the operating system says, if it is that: libraries say that of all the ways together."""
    for one in _causes(error):
        if isinstance(one, OSError) and one.errno and not isinstance(one, ssl.SSLError):
            return os.strerror(one.errno)
    return str(error) or type(error).__name__


def _tls_words(error: Exception) -> str:
    for one in _causes(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"the certificate is not accepted: {one.verify_message}"
        if isinstance(one, ssl.SSLError) and one.reason:
            return f"TLS failed: {one.reason}"
    return f"TLS failed: {_words(error)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
