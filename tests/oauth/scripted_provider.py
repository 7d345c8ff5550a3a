"""A provider whose clock and whims are the test's: a token endpoint over TLS on loopback, with rotating refresh tokens.

A refresh token is good once; a second use ends the consent, as providers do that detect reuse. No two refreshes of one
user may be under way at once: `collisions` counts them.
"""

import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

from corpus.https_peer import Answer, HttpsPeer
from outgate.model import Consent, OAuthTokens


@dataclass
class ConsentThere:
    """One user's, as the provider knows it."""

    user: str
    given_at: float
    refresh: str
    used: set[str] = field(default_factory=set)
    access: dict[str, float] = field(default_factory=dict)  # token -> its end
    refreshed_at: float = 0.0
    is_revoked: bool = False


class ScriptedProvider(HttpsPeer):
    """`now` is its clock. `whim` may answer in its place, before anything is done."""

    def __init__(self, context: ssl.SSLContext, now: Callable[[], float], lifetime: float = 3600.0) -> None:
        super().__init__(context)
        self._now, self.lifetime = now, lifetime
        self.whim: Callable[[str], Answer | None] = lambda _user: None
        self.dies_unused_after = 90 * 86400.0
        self.consents: dict[str, ConsentThere] = {}
        self.refreshes: list[tuple[str, float]] = []
        self.collisions = 0
        self.secrets: set[str] = set()  # all tokens there ever were
        self._codes: dict[str, str] = {}
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def settings(self, *lines: str) -> str:
        """Its table in providers.toml."""
        url = f"https://localhost:{self.port}"
        endpoints = f'authorization_endpoint = "{url}/auth"\ntoken_endpoint = "{url}/token"'
        return "\n".join(["[example]", 'label = "Example"', endpoints, 'client_id = "outgate"', *lines, ""])

    # --- what users do -----------------------------------------------------------------------------------------------

    def sign_in(self, user: str) -> Consent:
        """A new consent: the former is void."""
        refresh = self._token()
        self.consents[user] = ConsentThere(user, self._now(), refresh, refreshed_at=self._now())
        access = self._issue(self.consents[user])
        return Consent("example", "outgate", OAuthTokens(access, refresh, self._now() + self.lifetime))

    def code_for(self, user: str) -> str:
        """What the browser comes back with once they have signed in there; good once."""
        code = secrets.token_urlsafe(20)
        self._codes[code] = user
        return code

    def revoke(self, user: str) -> None:
        """As users do in their accounts: nothing is good any more."""
        self.consents[user].is_revoked = True

    def whose(self, token: str) -> str | None:
        """As a mail server asks. One that ends within five minutes is refused, as Microsoft does within ten."""
        for consent in self.consents.values():
            if not consent.is_revoked and consent.access.get(token, 0.0) > self._now() + 300:
                return consent.user
        return None

    # --- the token endpoint ------------------------------------------------------------------------------------------

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        form = parse_qs(request.rfile.read(int(request.headers["Content-Length"])).decode())
        return self.token_for({name: values[0] for name, values in form.items()})

    def token_for(self, form: dict[str, str]) -> Answer:
        """The answer to this form."""
        if form.get("grant_type") == "authorization_code" and form.get("code") in self._codes:
            return self._given(self.sign_in(self._codes.pop(form["code"])).tokens)
        token = form.get("refresh_token", "")
        found = [one for one in self.consents.values() if token == one.refresh or token in one.used]
        if form.get("grant_type") != "refresh_token" or not found:
            return 400, {}, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        (consent,) = found
        with self._lock:
            if consent.user in self._under_way:
                self.collisions += 1
            self._under_way.add(consent.user)
        try:
            return self.whim(consent.user) or self._refreshed(consent, token)
        finally:
            with self._lock:
                self._under_way.discard(consent.user)

    def _refreshed(self, consent: ConsentThere, token: str) -> Answer:
        unused = self._now() - consent.refreshed_at > self.dies_unused_after
        if token in consent.used or consent.is_revoked or unused:
            consent.is_revoked = True
            return 400, {}, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        consent.used.add(token)
        consent.refresh, consent.refreshed_at = self._token(), self._now()
        self.refreshes.append((consent.user, self._now()))
        return self._given(OAuthTokens(self._issue(consent), consent.refresh, 0.0))

    def _given(self, tokens: OAuthTokens) -> Answer:
        found: dict[str, object] = {"access_token": tokens.access, "refresh_token": tokens.refresh}
        return 200, {}, {**found, "token_type": "Bearer", "expires_in": int(self.lifetime)}

    def _issue(self, consent: ConsentThere) -> str:
        token = self._token()
        consent.access[token] = self._now() + self.lifetime
        return token

    def _token(self) -> str:
        token = f"marked-{secrets.token_urlsafe(30)}"
        self.secrets.add(token)
        return token
