"""A gateway's password, opened for one log-in and then forgotten. Only here is it opened.

The seal is looked at before a connection is made too: a row that was edited must not make us speak to its host.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from outgate.deliver.outcome import Outcome, Verdict
from outgate.model import Gateway
from outgate.smtp import PasswordCredentials
from outgate.store.vault import KeyMissing, SealBroken

OpenPassword = Callable[[Gateway], str]
SecurityEvent = Callable[[str, str, str], None]  # kind, target, peer
CredentialSource = Callable[[], Awaitable[PasswordCredentials]]

SEAL_BROKEN = "seal-broken"
KEY_MISSING = "key-missing"

_log = structlog.get_logger("deliver")


class GatewayCredentials:
    """The log-in to one gateway; `open_password` may take a while and is called in a thread."""

    def __init__(self, gateway: Gateway, open_password: OpenPassword, security_event: SecurityEvent) -> None:
        self._gateway, self._open_password, self._security_event = gateway, open_password, security_event

    async def __call__(self) -> PasswordCredentials:
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


_BROKEN = "was changed outside of Outgate, or its server was; set it again"
_MISSING = "can't be opened: this server does not have its key; see `outgate secrets status`"


def given(username: str, password: str) -> CredentialSource:
    """The log-in with a password that somebody has just entered."""

    async def opened() -> PasswordCredentials:
        return PasswordCredentials(username, password)

    return opened


def log_security_event(kind: str, target: str, peer: str) -> None:
    """Where nobody else wants to hear of it."""
    _log.error("security event", kind=kind, target=target, peer=peer)
