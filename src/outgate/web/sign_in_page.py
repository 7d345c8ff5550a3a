"""Signing in at the provider of an address's own server: for an address to be added, or one that is there already; and
of the server that all have in common who were granted an address. The browser comes back to the same place from all.

What has begun is in a sealed cookie of the browser that began it, for ten minutes.
"""

from dataclasses import asdict
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from outgate.directory.change import compared
from outgate.directory.errors import Invalid, NotFound
from outgate.directory.gateway_settings import GatewaySettings
from outgate.frozen import frozen
from outgate.http.http_route import HttpRoute
from outgate.model import WHOLE_DOMAIN, Consent, Gateway, GatewayKind
from outgate.oauth.sign_in import SignIn, SignInFailed, SignIns
from outgate.operations import common_gateway_operations, gateway_operations, send_as_operations
from outgate.operations.account_lookup import account_of, entry_of
from outgate.operations.context import Change, OperationContext, rehearse
from outgate.operations.gateway_trial import NO_CONSENT_YET
from outgate.operations.send_as_operations import NewAddress
from outgate.sendas.proven_domains import AddressGrant
from outgate.web import granted_addresses_page
from outgate.web.accounts_page import PATH, path_of
from outgate.web.common_gateway_page import grant_to_set
from outgate.web.granted_addresses_page import fields_of
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


@frozen
class PendingSignIn:
    """What is wanted once the user has signed in: a server for an address, which is to be added if `is_new`. With
    `granted_to` it is a common one: of the grant of the address whose other fields these are.
    """

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
    granted_to: dict[str, str] | None = None
    begun: SignIn | None = None

    def settings(self, consent: Consent) -> GatewaySettings:
        """The server with what the user has allowed. Raises Invalid."""
        kind = GatewayKind(self.kind)
        return GatewaySettings.entered(self.host, self.port, self.security, self.username, consent=consent, kind=kind)

    def change(self, visit: Visit, consent: Consent) -> Change[object]:
        """What saves it."""
        settings = self.settings(consent)

        def save(op: OperationContext) -> object:
            if self.granted_to is not None:
                return common_gateway_operations.set_gateway(op, self.address, settings, **self.granted_to)
            if self.is_new:
                wanted = NewAddress(self.address, self.name, treat_as_alias=self.alias, gateway=settings)
                return send_as_operations.create(op, visit.address, wanted, visit.services.confirmation)
            return gateway_operations.set_gateway(op, visit.address, self.address, settings)

        return save

    @property
    def go_on(self) -> str:
        """Where to go when it is saved."""
        if self.granted_to is not None:
            return f"{granted_addresses_page.PATH}?done=gateway"
        return f"{path_of(compared(self.address), 'confirm')}?done=added" if self.is_new else f"{PATH}?done=server"

    @property
    def back(self) -> str:
        """Where to begin again."""
        if self.granted_to is not None:
            return f"{granted_addresses_page.GATEWAY}?{urlencode({'address': self.address, **self.granted_to})}"
        return PATH


class SignInPage:
    """The two ends of a sign-in: the form that begins it, and where the provider sends the browser back to."""

    def __init__(self, services: PageServices, *, secure: bool) -> None:
        self._services = services
        self._cookie = SealedCookie("sign-in", secure, PATIENCE, services.vault)

    def routes(self, visits: Visits) -> list[HttpRoute]:
        """All there are."""
        # Who must show again who they are does so before the provider's code is used: it is good once.
        return [visits.post(BEGIN, self.begin, rate=RATE), visits.get(RETURN, self.end, rate=RATE, proven=True)]

    async def begin(self, visit: Visit) -> Response:
        """Say what speaks against it, else lead to the provider."""
        sign_ins = self._of(visit.form.text("provider"))
        pending = await visit.in_thread(self._wanted, visit, sign_ins)
        await visit.in_thread(rehearse, visit, pending.change(visit, NO_CONSENT_YET))
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
        trial = ServerTrial(
            visit, pending.settings(consent), pending.change(visit, consent), pending.go_on, compared(pending.address)
        )
        answer = await trial.answer(
            lambda status, state: visit.page(
                "signed_in.html",
                status,
                trial=state,
                provider=sign_ins.provider.title,
                signs_in=True,
                is_common=pending.granted_to is not None,
                back=pending.back,
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
        grant = grant_to_set(visit) if form.ticked("common") else None
        address, is_new = form.text("address"), form.ticked("new")
        login = form.text("login") or compared(address)
        if login.startswith(WHOLE_DOMAIN):
            raise Invalid("the grant is of a whole domain: say who signs in")
        before = grant.gateway if grant else None if is_new else _gateway_of(visit, address)
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
            login,
            self._services.now() + PATIENCE,
            provider.kind.value,
            _granted_to(grant) if grant else None,
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


def _granted_to(grant: AddressGrant) -> dict[str, str]:
    return {name: text for name, text in fields_of(grant).items() if name != "address"}


def _gateway_of(visit: Visit, address: str) -> Gateway | None:
    with visit.reading() as op:
        return entry_of(account_of(op, visit.address), address).gateway
