"""Asks a host by HTTPS for a small document: one that a user named, or an administrator. Knows nothing of what is in
it.

The name is resolved once, every address is checked, and only these are connected to, with the name in SNI and in the
verification of the certificate; a redirect passes the same checks. httpcore2 is used without httpx2, which would add
what is not wanted here: proxies of the environment, cookies, decompression (a small answer can unpack to a large one).
"""

import asyncio
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import field
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import httpcore2

from outgate.egress.guard import is_address, plain
from outgate.egress.resolver import Host, Resolver, Unresolved
from outgate.frozen import frozen
from outgate.mail.addresses import AddressError

HTTPS, HTTP = 443, 80
MAX_BYTES = 64 * 1024
MAX_REDIRECTS = 2
PATIENCE = 5.0  # seconds for all of it, names and redirects included
CONNECT = 2.0  # seconds for one address, so that one that is silent leaves time for the next

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_TARGET = re.compile(r"/[!-~]*")
_HEADERS = [(b"User-Agent", b"Outgate"), (b"Accept-Encoding", b"identity"), (b"Connection", b"close")]

_SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


@frozen
class Fetched:
    """What a server answered. `url` is where: the last one, after redirects. `media_type` in lower case, bare."""

    url: str
    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)  # names in lower case

    @property
    def media_type(self) -> str:
        """Of Content-Type, without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def retry_after(self, now: float) -> float | None:
        """Seconds that the server wants to be left alone (RFC 9110 section 10.2.3), less than none if that is past;
        None if it does not say.
        """
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            return parsedate_to_datetime(text).timestamp() - now if text else None
        except (ValueError, OverflowError):
            return None


@frozen
class NotFetched:
    """Why there is no answer, in words for the record. `forbidden`: the guard, or a rule of this file, refused it;
    `untrusted`: its certificate was.
    """

    url: str
    reason: str
    forbidden: bool = False
    untrusted: bool = False


@frozen
class _Place:
    """An https URL, read once: what is checked is what is connected to and asked."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_usual(self) -> bool:
        """Whether it is at the port that its scheme has."""
        return self.port == (HTTPS if self.scheme == "https" else HTTP)


class HttpsClient:
    """Asks with the names that the resolver gives and the authorities that the context trusts.

    The context is for this object alone (httpcore2 sets its ALPN). `port` is another than 443 in tests only: URLs may
    not name one, so that nothing else can be knocked at. With `any_port` they may: those that an administrator wrote.
    With `allow_http` they may also be of http.
    """

    def __init__(
        self,
        resolver: Resolver,
        context: ssl.SSLContext,
        port: int = HTTPS,
        *,
        any_port: bool = False,
        allow_http: bool = False,
    ) -> None:
        self._resolver, self._context, self._port = resolver, context, port
        self._any_port, self._schemes = any_port, ("https", "http") if allow_http else ("https",)

    async def get(
        self,
        url: str,
        redirects: int = MAX_REDIRECTS,
        patience: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched | NotFetched:
        """The answer to one GET within so many seconds, else PATIENCE, whatever its status; at most so many redirects
        are followed, with the same headers.
        """
        patience = PATIENCE if patience is None else patience
        try:
            async with asyncio.timeout(patience):
                return await self._follow(url, redirects, _Question(headers=headers or {}))
        except TimeoutError:
            return NotFetched(url, f"no answer within {patience:g} seconds")

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], patience: float = PATIENCE
    ) -> Fetched | NotFetched:
        """The answer to one POST, whatever its status, within `patience` seconds. No redirect is followed: what is
        posted may be a secret.
        """
        return await self._post(url, _Question("POST", headers, content), patience)

    async def tell(
        self, url: str, content: bytes, headers: Mapping[str, str], patience: float = PATIENCE
    ) -> Fetched | NotFetched:
        """As `post`, of an answer whose status counts: nothing is read of what comes after its header."""
        return await self._post(url, _Question("POST", headers, content, status_alone=True), patience)

    async def _post(self, url: str, question: "_Question", patience: float) -> Fetched | NotFetched:
        try:
            async with asyncio.timeout(patience):
                answer = await self._ask(url, question)
        except TimeoutError:
            return NotFetched(url, f"no answer within {patience:g} seconds")
        return answer if not isinstance(answer, str) else NotFetched(url, "the answer is a redirect", forbidden=True)

    async def _follow(self, url: str, redirects: int, question: "_Question") -> Fetched | NotFetched:
        for _ in range(redirects + 1):
            answer = await self._ask(url, question)
            if not isinstance(answer, str):
                return answer
            url = answer
        return NotFetched(url, f"more than {redirects} redirects", forbidden=True)

    async def _ask(self, url: str, question: "_Question") -> Fetched | NotFetched | str:
        """The answer, or the URL that it redirects to."""
        place = _read(url, self._schemes, any_port=self._any_port)
        if isinstance(place, NotFetched):
            return place
        hosts = await self._resolver.guarded(place.host)
        if isinstance(hosts, Unresolved):
            return NotFetched(url, hosts.reason, hosts.forbidden)
        try:
            return await self._exchange(url, place, hosts, question)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as error:
            # OSError: a TLS fault after the handshake (ssl.SSLError) comes through httpcore2 as it is.
            return NotFetched(
                url, str(error) or type(error).__name__, untrusted="CERTIFICATE_VERIFY_FAILED" in str(error)
            )

    async def _exchange(
        self, url: str, place: _Place, hosts: Sequence[Host], question: "_Question"
    ) -> Fetched | NotFetched | str:
        where = httpcore2.URL(
            scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=place.target.encode()
        )
        async with AsyncExitStack() as stack:
            backend = _Checked(hosts, self._port if place.port == HTTPS else place.port, stack)
            pool = httpcore2.AsyncConnectionPool(ssl_context=self._context, network_backend=backend)
            await stack.enter_async_context(pool)
            host = where.host if place.is_usual else where.host + f":{place.port}".encode()
            asked = pool.stream(
                question.method, where, headers=[(b"Host", host), *question.sent], content=question.content or None
            )
            answer = await stack.enter_async_context(asked)
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            if answer.status in _REDIRECTS and "location" in headers:
                return _joined(url, headers["location"])
            content = b"" if question.status_alone else await content_of(answer)
        if content is None:
            return NotFetched(url, f"the answer is longer than {MAX_BYTES} bytes")
        return Fetched(url, answer.status, content, headers)


@frozen
class _Question:
    """What is asked, beside where."""

    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    status_alone: bool = False

    @property
    def sent(self) -> list[tuple[bytes, bytes]]:
        """All headers but Host."""
        length = [(b"Content-Length", str(len(self.content)).encode())] if self.method != "GET" else []
        return [*_HEADERS, *((name.encode(), value.encode()) for name, value in self.headers.items()), *length]


class _Checked(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were checked, whatever the name has by now."""

    def __init__(self, hosts: Sequence[Host], port: int, stack: AsyncExitStack) -> None:
        self._hosts, self._port, self._stack = hosts, port, stack
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address that takes one."""
        fault: Exception = httpcore2.ConnectError("there is no address")
        for checked in self._hosts:
            try:
                stream = await self._network.connect_tcp(checked.address, self._port, CONNECT)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                fault = error
            else:
                self._stack.push_async_callback(
                    stream.aclose
                )  # httpcore2 leaves it open when a handshake is broken off
                return stream
        raise fault


def _read(url: str, schemes: Sequence[str], *, any_port: bool) -> _Place | NotFetched:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return NotFetched(url, "it is no URL", forbidden=True)
    if parts.scheme not in schemes:
        return NotFetched(url, f"only {' or '.join(schemes)} is asked", forbidden=True)
    usual = HTTPS if parts.scheme == "https" else HTTP
    if (port not in (None, usual) and not any_port) or "@" in parts.netloc:
        return NotFetched(url, "a URL with a port or a user name is not asked", forbidden=True)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _TARGET.fullmatch(target):
        return NotFetched(url, "it is no URL", forbidden=True)
    if is_address(host):
        return NotFetched(url, "a URL with an address for a host is not asked", forbidden=True)
    try:
        return _Place(parts.scheme, plain(host), usual if port is None else port, target)
    except AddressError:
        return NotFetched(url, "it is not the name of a host", forbidden=True)


def _joined(url: str, location: str) -> str:
    try:
        location.encode("ascii")
        return urljoin(url, location)
    except ValueError:
        return ""  # no URL, which is then said


async def content_of(answer: httpcore2.Response, longest: int = MAX_BYTES) -> bytes | None:
    """All of an answer; None if that is more than so many bytes."""
    content = bytearray()
    async for piece in answer.aiter_stream():
        content += piece
        if len(content) > longest:
            return None
    return bytes(content)
