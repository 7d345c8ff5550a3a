"""What mail programs are told before anybody logs in: Thunderbird's autoconfig, Outlook's Autodiscover, and PACC.

The answers say which servers there are for a domain of the organisation. They are the same for everybody in it, so that
nobody learns from them who exists. Knows no page and no user.
"""

from typing import Final

from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outgate.directory import organisation
from outgate.http.body_limit import body_of
from outgate.http.http_route import HttpRoute
from outgate.mail.addresses import AddressError, canonical
from outgate.mail_program import autodiscover, pacc_document
from outgate.mail_program.autodiscover import NotAnswered
from outgate.mail_program.client_config import client_config
from outgate.mail_program.program_servers import ProgramServers
from outgate.store.engine import read

AUTOCONFIG: Final = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
AUTODISCOVER: Final = tuple(f"/{word}/{word}" for word in ("autodiscover", "Autodiscover", "AutoDiscover"))
RATE: Final = "120/1minute"  # requests from one network, an office's first day included
_XML: Final = "text/xml; charset=utf-8"


class ProgramDocuments:
    """Answers programs, in the threads that may use the database."""

    def __init__(self, engine: Engine, servers: ProgramServers) -> None:
        self._engine, self._servers = engine, servers

    def routes(self) -> list[HttpRoute]:
        """All there are."""
        return [
            *(_route(path, "GET", self.autoconfig) for path in AUTOCONFIG),
            _route(pacc_document.PATH, "GET", self.pacc),
            *(_route(f"{path}.xml", "POST", self.autodiscover, autodiscover.MAX_REQUEST) for path in AUTODISCOVER),
            *(_route(f"{path}.json", "GET", self.place) for path in AUTODISCOVER),
            *(_route(f"{path}.json/v1.0/{{address}}", "GET", self.place) for path in AUTODISCOVER),
        ]

    def autoconfig(self, request: Request) -> Response:
        """For the domain of an address; without one, as some programs ask so that it is not told, for the first."""
        domains = self._domains()
        asked = request.query_params.get("emailaddress")
        domain = _domain_of(asked) if asked else domains[0]
        if domain not in domains:
            raise HTTPException(404, "the address is in no domain of this server")
        return Response(client_config(self._servers, domain), media_type=_XML)

    def pacc(self, _request: Request) -> Response:
        """The same for all domains, under whichever name it is asked for."""
        document = pacc_document.pacc_document(self._servers)
        if document is None:
            raise HTTPException(404, "no server is at the ports that PACC knows")
        return Response(document, media_type="application/json")

    def autodiscover(self, request: Request) -> Response:
        """Also what is refused is answered with 200, as the protocol has it."""
        try:
            address = autodiscover.address_asked_for(body_of(request))
            if _domain_of(address) not in self._domains():
                raise autodiscover.invalid()
            document = autodiscover.settings(self._servers, canonical(address))
        except NotAnswered as error:
            document = autodiscover.refusal(error)
        return Response(document, media_type=_XML)

    def place(self, request: Request) -> Response:
        """Whoever asks: it is one place for all."""
        status, found = autodiscover.place(self._servers, request.query_params.get("Protocol", ""))
        return JSONResponse(found, status)

    def _domains(self) -> list[str]:
        """The primary first."""
        with read(self._engine) as connection:
            return [one.name for one in organisation.domains(connection)]


def _domain_of(address: str) -> str:
    """In its compared form; empty if it is no address."""
    try:
        return canonical(address).rpartition("@")[2]
    except AddressError:
        return ""


def _route(path: str, method: str, handler: object, max_body: int = 0) -> HttpRoute:
    return HttpRoute(
        path=path,
        methods=frozenset({method}),
        handler=handler,  # type: ignore[arg-type]  # all are of one kind
        kind="api",
        max_body=max_body,
        rate=RATE,
    )
