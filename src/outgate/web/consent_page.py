"""Where a program leads its user to let it act for them: OAuth's authorization endpoint (RFC 6749 3.1, with PKCE).

Nobody is led anywhere but to an address that is registered for the program. Looking lets it do nothing: it takes a
press of the button, by whoever has shown lately who they are.
"""

from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.responses import Response

from outgate.directory.programs import RegisteredProgram
from outgate.http.http_route import HttpRoute
from outgate.operations import program_operations
from outgate.operations.program_operations import ConsentAsked
from outgate.web.visit import Visit
from outgate.web.visits import Visits

PATH: Final = "/authorize"
RATE: Final = "60/1minute"  # requests from one network
_MAX_STATE: Final = 4000  # characters


class ConsentPage:
    """Answers for /authorize."""

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.get(PATH, show, rate=RATE, proven=True), visits.post(PATH, act, rate=RATE)]


def show(visit: Visit) -> Response:
    """Who asks, and for what. Raises NotFound and Invalid, where nobody can be led back."""
    asked, program = _asked(visit)
    if fault := _fault(visit, asked):
        return _led_back(visit, asked, program, error=fault)
    known = visit.services.scopes
    return visit.page(
        "consent.html",
        program=program.name,
        scopes=[visit.said(known[one]) for one in known if one in asked.scopes],
        host=urlsplit(asked.redirect_uri).netloc,
        query=visit.request.url.query,
    )


def act(visit: Visit) -> Response:
    """What the user has answered."""
    asked, program = _asked(visit)
    if fault := _fault(visit, asked):
        return _led_back(visit, asked, program, error=fault)
    if visit.form.text("answer") != "allow":
        return _led_back(visit, asked, program, error="access_denied")
    with visit.writing() as op:
        code = program_operations.give_consent(op, visit.address, asked)
    return _led_back(visit, asked, program, code=code)


def _asked(visit: Visit) -> tuple[ConsentAsked, RegisteredProgram]:
    given = visit.request.query_params
    asked = ConsentAsked(
        given.get("client_id", ""),
        given.get("redirect_uri", ""),
        frozenset(given.get("scope", "").split()),
        given.get("code_challenge", ""),
    )
    with visit.reading() as op:
        return asked, program_operations.checked(op, asked)


def _fault(visit: Visit, asked: ConsentAsked) -> str:
    """In OAuth's words (RFC 6749 4.1.2.1); empty if there is none."""
    given = visit.request.query_params
    if given.get("response_type") != "code":
        return "unsupported_response_type"
    if given.get("code_challenge_method") != "S256" or not asked.challenge or len(given.get("state", "")) > _MAX_STATE:
        return "invalid_request"
    if not asked.scopes or not asked.scopes <= visit.services.scopes.keys():
        return "invalid_scope"
    return ""


def _led_back(visit: Visit, asked: ConsentAsked, program: RegisteredProgram, **told: str) -> Response:
    """By the page: browsers follow no redirect of a form to another site (CSP form-action)."""
    told["iss"] = visit.services.config.web.public_url.rstrip("/")  # RFC 9207
    if state := visit.request.query_params.get("state", "")[:_MAX_STATE]:
        told["state"] = state
    mark = "&" if "?" in asked.redirect_uri else "?"
    url = f"{asked.redirect_uri}{mark}{urlencode(told)}"
    return visit.page("led_back.html", url=url, program=program.name, is_done="code" in told)
