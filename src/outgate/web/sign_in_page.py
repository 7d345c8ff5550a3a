"""Signing in at the provider of an address's own server: for an address to be added, or one that is there already.

What has begun is in a sealed cookie of the browser that began it, for ten minutes.
"""

from dataclasses import asdict
from typing import Final

from starlette.responses import Response

from outgate.directory.change import compared
from outgate.directory.errors import NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.model import Consent, Gateway, GatewayKind, OAuthTokens
from outgate.oauth.sign_in import SignIn, SignInFailed, SignIns
from outgate.operations import gateway_operations, send_as_operations
from outgate.operations.account_lookup import account_of, entry_of
from outgate.operations.context import Change, OperationContext, rehearse
from outgate.operations.send_as_operations import NewAddress
from outgate.web.accounts_page import PATH, path_of
from outgate.web.sealed_cookie import SealedCookie
from outgate.web.server_trial import ServerTrial
from outgate.web.services import PageServices
from outgate.web.visit import Visit
from outgate.web.visits import Visits
from outgate.web.words import N_

BEGIN: Final = f"{PATH}/sign-in"
RETURN: Final = f"{PATH}/signed-in"
RATE: Final = "30/1minute"  # of questions to providers
PATIENCE: Final = 600  # seconds that somebody has to sign in

_NOTHING: Final = N_("no sign-in has begun in this browser, or it was more than ten minutes ago; begin again")
_NO_CONSENT: Final = Consent("none", "", OAuthTokens("none", "none", 0.0))


@frozen
class PendingSignIn:
    """What is wanted once the user has signed in: a server for an address, which is to be added if `is_new`."""

    address: str
    is_new: bool
    name: str
    alias: bool
    host: str
    port: int
    security: str
    username: str
    until: float
    kind: str = GatewayKind.SMTP.value
    begun: SignIn | None = None

    def settings(self, consent: Consent) -> GatewaySettings:
        """The server with what the user has allowed. Raises Invalid."""
        kind = GatewayKind(self.kind)
        return GatewaySettings.entered(self.host, self.port, self.security, self.username, consent=consent, kind=kind)

    def change(self, visit: Visit, consent: Consent) -> Change[object]:
        """What saves it."""
        settings = self.settings(consent)

        def save(op: OperationContext) -> object:
            if self.is_new:
                wanted = NewAddress(self.address, self.name, treat_as_alias=self.alias, gateway=settings)
                return send_as_operations.create(op, visit.address, wanted, visit.services.confirmation)
            return gateway_operations.set_gateway(op, visit.address, self.address, settings)

        return save


class SignInPage:
    """The two ends of a sign-in: the form that begins it, and where the provider sends the browser back to."""

    def __init__(self, services: PageServices, *, secure: bool) -> None:
        self._services = services
        self._cookie = SealedCookie("sign-in", secure, PATIENCE, services.vault)

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        return [visits.post(BEGIN, self.begin, rate=RATE), visits.get(RETURN, self.end, rate=RATE)]

    async def begin(self, visit: Visit) -> Response:
        """Say what speaks against it, else lead to the provider."""
        sign_ins = self._of(visit.form.text("provider"))
        pending = await visit.in_thread(self._wanted, visit, sign_ins)
        await visit.in_thread(rehearse, visit, pending.change(visit, _NO_CONSENT))
        begun = await sign_ins.begin(self._returns_to, login_hint=pending.username)
        # The browser is led there by the page: browsers follow no redirect of a form to another site (CSP form-action).
        answer = visit.page("sign_in.html", url=begun.url, provider=sign_ins.provider.title)
        await visit.in_thread(self._give, answer, visit, pending, begun)
        return answer

    async def end(self, visit: Visit) -> Response:
        """The browser comes back: try the server with the new token; if it works, all is saved."""
        pending = await visit.in_thread(self._read, visit)
        assert pending.begun  # as it was given
        sign_ins = self._of(pending.begun.provider)
        consent = await sign_ins.end(pending.begun, visit.request.url.query)
        address = compared(pending.address)
        go_on = f"{path_of(address, 'confirm')}?done=added" if pending.is_new else f"{PATH}?done=server"
        trial = ServerTrial(visit, pending.settings(consent), pending.change(visit, consent), go_on, address)
        answer = await trial.answer(
            lambda status, state: visit.page(
                "signed_in.html", status, trial=state, provider=sign_ins.provider.title, signs_in=True
            )
        )
        self._cookie.take(answer)
        return answer

    # --- what is wanted ----------------------------------------------------------------------------------------------

    def _of(self, provider: str) -> SignIns:
        found = self._services.sign_ins.get(provider)
        if found is None:
            raise NotFound("there is no such provider here")
        return found

    def _wanted(self, visit: Visit, sign_ins: SignIns) -> PendingSignIn:
        form, provider = visit.form, sign_ins.provider
        address = form.text("address")
        is_new = form.ticked("new")
        before = None if is_new else _gateway_of(visit, address)
        is_same = before is not None and before.provider == provider.name
        host, port, security = (
            (before.host, before.port, before.security)
            if before and is_same
            else (provider.host, provider.port, provider.security)
        )
        return PendingSignIn(
            address,
            is_new,
            form.text("name"),
            form.ticked("alias"),
            host,
            port,
            security.value,
            form.text("login") or compared(address),
            self._services.now() + PATIENCE,
            provider.kind.value,
        )

    @property
    def _returns_to(self) -> str:
        return f"{self._services.config.web.public_url.rstrip('/')}{RETURN}"

    # --- what the browser keeps meanwhile ----------------------------------------------------------------------------

    def _give(self, answer: Response, visit: Visit, pending: PendingSignIn, begun: SignIn) -> None:
        kept = asdict(pending) | {"begun": {**asdict(begun), "url": ""}}
        self._cookie.give(answer, _identity(visit), kept)

    def _read(self, visit: Visit) -> PendingSignIn:
        kept = self._cookie.read(visit.request, _identity(visit))
        if kept is None:
            raise SignInFailed(_NOTHING)
        pending = PendingSignIn(**{**kept, "begun": SignIn(**kept["begun"])})
        if self._services.now() > pending.until:
            raise SignInFailed(_NOTHING)
        return pending


def _identity(visit: Visit) -> str:
    return f"sign-in:{visit.holder.actor.account_id}"


def _gateway_of(visit: Visit, address: str) -> Gateway | None:
    with visit.reading() as op:
        return entry_of(account_of(op, visit.address), address).gateway
