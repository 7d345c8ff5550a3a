"""A gateway's password or token, opened for one log-in and then forgotten. Only here is it opened.

The seal is looked at before a connection is made too: a row that was edited must not make us speak to its host.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from outgate.deliver.outcome import Outcome, Verdict
from outgate.model import Gateway
from outgate.oauth.gateway_tokens import NoToken
from outgate.smtp import Credentials, PasswordCredentials, TokenCredentials
from outgate.store.vault import KeyMissing, SealBroken

OpenPassword = Callable[[Gateway], str]
SecurityEvent = Callable[[str, str, str], None]  # kind, target, peer
CredentialSource = Callable[[], Awaitable[Credentials]]

SEAL_BROKEN = "seal-broken"
KEY_MISSING = "key-missing"

# Answers that speak of the token (Microsoft answers 501 5.5.127 to one that is about to end; 400, 401 and 403 are of
# HTTP); 4xx of SMTP do not.
_OF_TOKEN = re.compile(r"^4\.7\.(8 \S+: log-in refused: (535|40[013])|4 \S+: log-in failed: 501 5\.5\.127)( |$)")

_log = structlog.get_logger("deliver")


class TokenSource(Protocol):
    """Gives access tokens (oauth.gateway_tokens)."""

    async def current(self, gateway: Gateway, *, instead_of: str = "") -> str | NoToken:
        """One to log in with; another than `instead_of`. Raises store.vault.SealBroken and StoreUnavailable."""


class NoCredential(Exception):
    """There is nothing to log in with now; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class LogIn(Protocol):
    """The log-in to one gateway."""

    async def __call__(self) -> Credentials:
        """For one exchange. Raises NoCredential and store.vault.SealBroken."""

    async def fault(self) -> Outcome | None:
        """Why there is none, if so; then nobody must be connected to."""

    async def renew(self, refused: Outcome) -> bool:
        """Whether another try is worth it after this outcome, with a credential that is got anew."""


class GatewayCredentials:
    """The log-in to one gateway by a password; `open_password` may take a while and is called in a thread."""

    def __init__(self, gateway: Gateway, open_password: OpenPassword, security_event: SecurityEvent) -> None:
        self._gateway, self._open_password, self._security_event = gateway, open_password, security_event

    async def __call__(self) -> Credentials:
        """For one exchange. Raises store.vault.SealBroken."""
        password = await asyncio.to_thread(self._open_password, self._gateway)
        return PasswordCredentials(self._gateway.username, password)

    async def fault(self) -> Outcome | None:
        """Why this password can't be used, if so; then nobody must be connected to."""
        gateway = self._gateway
        try:
            await self()
        except SealBroken as error:
            missing = isinstance(error, KeyMissing)
            kind, words = (KEY_MISSING, _MISSING) if missing else (SEAL_BROKEN, _BROKEN)
            self._security_event(kind, gateway.identity, f"{gateway.host}:{gateway.port}")
            return Outcome(Verdict.RETRY, f"4.7.8 the stored password of {gateway.identity} {words}")
        return None

    async def renew(self, refused: Outcome) -> bool:
        """There is one password."""
        return False


class GatewayTokens:
    """The log-in to one gateway by an access token, which is renewed once where the server does not take it: it may
    have been revoked, or be about to end (Microsoft's 501 5.5.127).
    """

    def __init__(self, gateway: Gateway, tokens: TokenSource, security_event: SecurityEvent) -> None:
        self._gateway, self._tokens, self._security_event = gateway, tokens, security_event
        self._used = ""

    async def __call__(self) -> Credentials:
        """For one exchange. Raises NoCredential."""
        found = await self._found()
        if isinstance(found, Outcome):
            raise NoCredential(found)
        self._used = found
        return TokenCredentials(self._gateway.username, found, self._gateway.host, self._gateway.port)

    async def fault(self) -> Outcome | None:
        """Why there is no token; then nobody must be connected to."""
        found = await self._found()
        return found if isinstance(found, Outcome) else None

    async def renew(self, refused: Outcome) -> bool:
        """Only if the log-in itself was refused, and there is another token."""
        if not self._used or not _OF_TOKEN.search(refused.reason):
            return False
        return isinstance(await self._found(instead_of=self._used), str)

    async def _found(self, instead_of: str = "") -> str | Outcome:
        gateway = self._gateway
        try:
            found = await self._tokens.current(gateway, instead_of=instead_of)
        except SealBroken as error:
            kind, words = (KEY_MISSING, _MISSING) if isinstance(error, KeyMissing) else (SEAL_BROKEN, _BROKEN)
            self._security_event(kind, gateway.identity, f"{gateway.host}:{gateway.port}")
            return Outcome(Verdict.RETRY, f"4.7.8 the stored token of {gateway.identity} {words}")
        if isinstance(found, NoToken):
            if found.must_sign_in:  # oauth.repair_notice has told the sender; of a common gateway the administrators
                return Outcome(Verdict.RETRY, f"4.7.8 {found.reason}", told=not gateway.is_common)
            return Outcome(Verdict.RETRY, f"4.7.0 {gateway.host}: log-in put off: {found.reason}")
        return found


_BROKEN = "was changed outside of Outgate, or its server was; set it again"
_MISSING = "can't be opened: this server does not have its key; see `outgate secrets status`"


def given(gateway: Gateway, secret: str) -> CredentialSource:
    """The log-in with a password that somebody has just entered, or a token that a provider has just given."""

    async def opened() -> Credentials:
        if gateway.provider:
            return TokenCredentials(gateway.username, secret, gateway.host, gateway.port)
        return PasswordCredentials(gateway.username, secret)

    return opened


def log_security_event(kind: str, target: str, peer: str) -> None:
    """Where nobody else wants to hear of it."""
    _log.error("security event", kind=kind, target=target, peer=peer)
