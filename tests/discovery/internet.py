"""A small internet for discovery: DNS, and web servers with TLS whose answers a test sets. 127.0.0.2 stands for public.

127.0.0.1 stands for what only this machine can reach: the same port there counts whoever comes.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.scratch import free_port

from outgate.config import EgressSettings
from outgate.demo import nameserver
from outgate.demo.certificates import Authority
from outgate.demo.network import VirtualHost
from outgate.discovery.discoverer import Discoverer
from outgate.discovery.presets import shipped
from outgate.egress.guard import Guard
from outgate.egress.https_client import HttpsClient
from outgate.egress.resolver import Resolver
from way.place import LOCALHOST

PUBLIC = "127.0.0.2"
PUBLIC_BUT_CLOSED = "127.0.0.3"
INSIDE = "127.0.0.1"

Answer = Callable[[BaseHTTPRequestHandler], None]


class WebServer(ThreadingHTTPServer):
    """Answers by host name and path, 404 to all else. `asked` has what was asked, `greeted` the names in SNI."""

    daemon_threads = True

    def __init__(self, address: str, port: int, authority: Authority) -> None:
        self.asked: list[str] = []
        self.greeted: list[str] = []
        self.posted: list[tuple[str, str, bytes]] = []  # URL, media type, content
        self.answers: dict[str, Answer] = {}
        self._authority = authority
        self._contexts: dict[str, ssl.SSLContext] = {}
        super().__init__((address, port), _Handler)
        context = authority.server_context(VirtualHost(f"nobody-{address}.example", address))
        context.sni_callback = self._greet
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def host(self, *names: str) -> None:
        """Have certificates for these names."""
        for name in names:
            self._contexts[name] = self._authority.server_context(VirtualHost(name, PUBLIC))

    def _greet(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        self.greeted.append(name or "")
        if name in self._contexts:
            connection.context = self._contexts[name]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that breaks off is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        url = f"https://{self.headers['Host']}{self.path}"
        self.server.asked.append(url)
        self.server.answers.get(url.partition("?")[0], status(404))(self)

    def do_POST(self) -> None:
        url = f"https://{self.headers['Host']}{self.path}"
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((url, self.headers.get_content_type(), content))
        self.server.answers.get(url, status(404))(self)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


def status(code: int, **headers: str) -> Answer:
    """An empty answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in {"content-length": "0", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


def document(content: bytes) -> Answer:
    """An answer with this content."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


class Internet:
    """Zones and servers, and what asks them."""

    def __init__(self, folder: Path, dns_port: int, web_port: int) -> None:
        authority = Authority(folder)
        self.zones = nameserver.Records("")
        self.nameserver = f"{LOCALHOST.address}:{dns_port}"
        self.web = WebServer(PUBLIC, web_port, authority)
        self.inside = WebServer(INSIDE, web_port, authority)
        self.guard = Guard(EgressSettings(allowed_networks={"internet": f"{PUBLIC}/31"}))
        self.resolver = Resolver([self.nameserver], self.guard)
        self.authority, self.folder = authority, folder
        self.context = authority.client_context()
        self.https = HttpsClient(self.resolver, self.context, web_port)

    def discoverer(self, patience: float = 10.0) -> Discoverer:
        """With the presets that are shipped."""
        return Discoverer(self.resolver, self.https, shipped(), patience)

    def certificate(self, name: str, *, whole_chain: bool = False) -> ssl.SSLContext:
        """What a server needs that has a certificate for this name, and may show its authority's as well."""
        context = self.authority.server_context(VirtualHost(name, PUBLIC_BUT_CLOSED))
        if whole_chain:
            chain = self.folder / f"{name}.pem"
            chain.write_bytes(chain.read_bytes() + self.authority.ca_file.read_bytes())
            context.load_cert_chain(chain, self.folder / f"{name}.key")
        return context

    def site(self, name: str, address: str = PUBLIC) -> None:
        """A name with an address, and a certificate for it on both servers."""
        self.zones.publish(f"{name}. 0 IN A {address}\n")
        self.web.host(name)
        self.inside.host(name)


@contextmanager
def running(folder: Path) -> Iterator[Internet]:
    """The internet for the time of the block."""
    dns_port, web_port = free_port(), free_port(PUBLIC, INSIDE)
    internet = Internet(folder, dns_port, web_port)
    with ExitStack() as stack:
        stack.enter_context(nameserver.serve(internet.zones, LOCALHOST, dns_port))
        for server in (internet.web, internet.inside):
            stack.callback(server.server_close)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield internet
