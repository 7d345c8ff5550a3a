"""Where programs get their tokens and give them back: `/token` (RFC 6749, 7523), `/revoke` (RFC 7009), `/tokeninfo`.

Errors have OAuth's form (RFC 6749 5.2), which libraries read.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outgate.api import assertion
from outgate.api.api_services import ApiServices
from outgate.api.assertion import BadAssertion
from outgate.directory.access_tokens import LIFETIME
from outgate.directory.service_accounts import PublicKey
from outgate.http.body_limit import body_of
from outgate.http.client_address import peer_of
from outgate.http.http_route import HttpRoute
from outgate.operations import token_operations
from outgate.operations.token_operations import NoSuchSubject, NotGranted, ProgramTokens

TOKEN: Final = "/token"  # noqa: S105  # a path
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
RATE: Final = "600/1minute"  # requests from one network
_MAX_FORM: Final = 64 * 1024
_GOOGLES: Final = ("https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token")

_log = structlog.get_logger("api")


class TokenEndpoint:
    """Answers for the paths above."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def routes(self) -> list[HttpRoute]:
        """All there are."""
        return [
            _route(TOKEN, frozenset({"POST"}), self.give),
            _route("/revoke", frozenset({"POST"}), self.take_back),
            _route("/tokeninfo", frozenset({"GET", "POST"}), self.tell),
            _route("/.well-known/oauth-authorization-server", frozenset({"GET"}), self.describe),
        ]

    def give(self, request: Request) -> Response:
        """A token, for what is shown."""
        form = _form(request)
        match form.get("grant_type", ""):
            case "authorization_code":
                return self._for_code(form)
            case "refresh_token":
                return self._for_refresh_token(form)
            case kind if kind == JWT_BEARER:
                return self._for_assertion(form, peer_of(request))
        return refused(
            "unsupported_grant_type", f"grant_type must be authorization_code, refresh_token or {JWT_BEARER}"
        )

    def _for_code(self, form: Mapping[str, str]) -> Response:
        services = self._services
        return _of_consent(
            token_operations.tokens_for_code(
                services.engine,
                form.get("client_id", ""),
                form.get("code", ""),
                form.get("redirect_uri", ""),
                form.get("code_verifier", ""),
                services.now(),
            )
        )

    def _for_refresh_token(self, form: Mapping[str, str]) -> Response:
        services = self._services
        return _of_consent(
            token_operations.tokens_for_refresh_token(
                services.engine, form.get("client_id", ""), form.get("refresh_token", ""), services.now()
            )
        )

    def _for_assertion(self, form: Mapping[str, str], peer: str) -> Response:
        services = self._services
        try:
            asked = assertion.read(form.get("assertion", ""), self._audiences(), self._keys, services.now())
            token = token_operations.token_for_subject(
                services.engine, services.vault, asked.key, asked.subject, asked.scopes, peer, services.now()
            )
        except BadAssertion as error:
            _log.warning("assertion refused", reason=str(error), peer=peer)
            return refused("invalid_grant", str(error))
        except NoSuchSubject:
            return refused("invalid_grant", "Invalid email or User ID")
        except NotGranted:
            return refused(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any"
                " of the scopes requested.",
                401,
            )
        scope = " ".join(sorted(asked.scopes))
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": int(LIFETIME), "scope": scope})

    def take_back(self, request: Request) -> Response:
        """A token ends. That it was none is no error (RFC 7009 2.2), as at Google it is: so no client depends on it."""
        token = _form(request).get("token", "") or request.query_params.get("token", "")
        if not token:
            return refused("invalid_request", "token is missing")
        token_operations.revoke_token(self._services.engine, token, self._services.now())
        return _json({})

    def tell(self, request: Request) -> Response:
        """What a token is good for."""
        token = _form(request).get("access_token", "") or request.query_params.get("access_token", "")
        services = self._services
        holder = token_operations.holder_of_token(services.engine, token, peer_of(request), services.now())
        if holder is None:
            return refused("invalid_token", "Invalid Value")
        left = int(holder.token.expires_at - services.now())
        return _json(
            {
                "azp": holder.token.client,
                "aud": holder.token.client,
                "scope": " ".join(sorted(holder.token.scopes)),
                "exp": str(int(holder.token.expires_at)),
                "expires_in": str(left),
                "email": holder.address,
                "email_verified": "true",
                "access_type": "online",
            }
        )

    def describe(self, _request: Request) -> Response:
        """Where all this is, for programs that look (RFC 8414)."""
        url = self._services.public_url
        return _json(
            {
                "issuer": url,
                "authorization_endpoint": f"{url}/authorize",
                "token_endpoint": f"{url}{TOKEN}",
                "revocation_endpoint": f"{url}/revoke",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", JWT_BEARER],
                "token_endpoint_auth_methods_supported": ["none"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def _keys(self, email: str) -> tuple[PublicKey, ...]:
        return token_operations.keys_of(self._services.engine, email)

    def _audiences(self) -> frozenset[str]:
        """Google's libraries name Google's own, whatever `token_uri` says; but the key is ours alone."""
        return frozenset({self._services.public_url + TOKEN, *_GOOGLES})


def _of_consent(tokens: ProgramTokens | None) -> Response:
    if tokens is None:
        return refused("invalid_grant", "Token has been expired or revoked.")
    return _json(
        {
            "access_token": tokens.access_token,
            "token_type": "Bearer",
            "expires_in": int(LIFETIME),
            "refresh_token": tokens.refresh_token,
            "scope": " ".join(sorted(tokens.scopes)),
        }
    )


def refused(error: str, description: str, status: int = 400) -> Response:
    """In OAuth's form."""
    return JSONResponse({"error": error, "error_description": description}, status)


def _route(path: str, methods: frozenset[str], handler: object) -> HttpRoute:
    return HttpRoute(path=path, methods=methods, handler=handler, kind="api", max_body=_MAX_FORM, rate=RATE)  # type: ignore[arg-type]


def _form(request: Request) -> dict[str, str]:
    """What was sent with it; of a name that comes twice, nothing."""
    try:
        fields = parse_qs(body_of(request).decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items() if len(values) == 1}


def _json(value: dict[str, object]) -> Response:
    return JSONResponse(value)
