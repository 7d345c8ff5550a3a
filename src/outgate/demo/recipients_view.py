"""The recipients' view in a browser: what came to the mailboxes outside the organisation, as a mail program shows it.

It looks like Outgate's pages, by their style sheet, and shares no code with them. Knows no server but its own.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, PackageLoader

from outgate.demo.arrival import Arrivals
from outgate.demo.network import VirtualHost

_POLL_SECONDS: Final = 0.05  # how soon the server sees that it shall stop
_STATIC: Final = {"look.css": "text/css", "htmx.min.js": "text/javascript", "mark.svg": "image/svg+xml"}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
# The page's words, few and its own: the text in English is the key.
ITALIAN: Final = {
    "What recipients see": "Che cosa vedono i destinatari",
    "All mail that came to mailboxes outside example.com, newest first. New mail appears by itself.": (
        "Tutti i messaggi arrivati alle caselle fuori da example.com, dal più recente. I nuovi appaiono da soli."
    ),
    "Nothing has come yet. Write to carol@recipient.example, or add an address of dominiopartner.example.": (
        "Non è ancora arrivato niente. Scrivi a carol@recipient.example, o aggiungi un indirizzo di"
        " dominiopartner.example."
    ),
    "(no subject)": "(nessun oggetto)",
    "on behalf of": "per conto di",
    "From": "Da",
    "To": "A",
    "Arrived": "Arrivato",
    "Outlook shows": "Outlook mostra",
    "Delivered by": "Consegnato da",
    "Bounces go to": "Errori di recapito a",
    "nobody": "nessuno",
    "Verified": "Verifica",
    "inbox": "posta in arrivo",
    "junk": "spam",
    "pass": "superato",
    "fail": "non superato",
    "none": "assente",
}
_pages: Final = Environment(loader=PackageLoader("outgate.demo", ""), autoescape=True, trim_blocks=True)


@contextlib.contextmanager
def serve(arrivals: Arrivals, host: VirtualHost, port: int) -> Iterator[None]:
    """Answer browsers until the block ends."""
    server = ThreadingHTTPServer((host.address, port), partial(_Answer, arrivals))
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answer(BaseHTTPRequestHandler):
    timeout = 10

    def __init__(self, arrivals: Arrivals, *connection: Any) -> None:
        self._arrivals = arrivals
        super().__init__(*connection)

    def do_GET(self) -> None:  # http.server finds it by this name
        """The page, or its list alone if that is not `after` the number that the browser has."""
        asked = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(asked.query).items()}
        name = asked.path.removeprefix("/")
        if name in _STATIC:
            self._give(files("outgate.web").joinpath("static", name).read_bytes(), _STATIC[name])
        elif name == "arrivals" and query.get("after") == str(self._arrivals.number):
            self._begin(HTTPStatus.NO_CONTENT)
        elif name in ("", "arrivals"):
            self._give(self._page("recipients_list.html" if name else "recipients_view.html", query), "text/html")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _page(self, template: str, query: Mapping[str, str]) -> bytes:
        language = query.get("language") or self.headers.get("Accept-Language", "")[:2]
        number, newest = self._arrivals.number, self._arrivals.newest
        words = ITALIAN if language == "it" else {}
        facts = {"language": "it" if words else "en", "_": lambda text: words.get(text, text), "moment": _moment}
        return _pages.get_template(template).render(facts, number=number, newest=newest).encode()

    def _give(self, body: bytes, kind: str) -> None:
        self._begin(HTTPStatus.OK, {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The terminal shows the messages themselves."""


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
