"""Warns of the certificate's end while there is time, and when it has come: in the log, and an administrator by mail.

A server runs for longer than a certificate is good. Knows no mail: a function that it is given tells the administrator.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from outgate.accept.tls import SOON, Certificate

DAY: Final = 86400.0  # seconds
RENEW: Final = "put the new one in its place, then: systemctl reload outgate (or send the server SIGHUP)"

Tell = Callable[[str, str], Awaitable[None]]  # a subject and a text

_TEXT: Final = """\
{what}: {chain}

Mail programs {refuse} to connect. Put the renewed chain and its key in place (submission.certificate and
submission.private_key in outgate.toml), where the server's user may read them, and have them read:

    systemctl reload outgate

You are told again tomorrow if it is still so. docs/operating.md says more.
"""

_log = structlog.get_logger("accept")


class CertificateWatch:
    """Looks once a day at the certificate that is in use."""

    def __init__(self, certificate: Certificate, now: Callable[[], float], tell: Tell | None = None) -> None:
        self._certificate, self._now, self._tell = certificate, now, tell

    async def run(self) -> None:
        """Look, and again each day, until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(DAY)

    async def look(self) -> None:
        """Warn if the end is near."""
        left, chain = self._certificate.ends - self._now(), self._certificate.chain
        if left >= SOON:
            return
        over, days = left <= 0, int(left // DAY)
        event = "the certificate has expired" if over else "the certificate ends soon"
        _log.warning(event, file=str(chain), days=days, then=RENEW)
        if self._tell:
            what = "The certificate has expired" if over else f"The certificate ends in {days} days"
            await self._tell(what, _TEXT.format(what=what, chain=chain, refuse="refuse" if over else "will refuse"))
