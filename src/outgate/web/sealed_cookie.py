"""What a browser keeps for some minutes and can neither read nor change: sealed by the vault, so any node may open it.

A rotation of the vault's keys may make it void, since no key is looked for that a browser names; whoever has one begins
again. Reads files, so it is called in threads. Knows nothing of what is in it.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from outgate.frozen import frozen
from outgate.store.vault import SealBroken, Vault


@frozen
class SealedCookie:
    """Of one name; `secure` as of the session's cookie. What is sealed for one holder opens for no other."""

    name: str
    secure: bool
    seconds: int
    vault: Vault

    def give(self, response: Response, holder: str, facts: Mapping[str, object]) -> None:
        """Let the browser keep these. It sends them when it comes back by another site's redirect ("lax")."""
        value = urlsafe_b64encode(self.vault.seal(json.dumps(facts).encode(), holder)).decode()
        response.set_cookie(
            self._name, value, max_age=self.seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def read(self, request: Request, holder: str) -> dict[str, Any] | None:
        """What the browser has kept; None if nothing of ours for this holder."""
        try:
            sealed = urlsafe_b64decode(request.cookies.get(self._name, ""))
            facts: dict[str, Any] = json.loads(self.vault.open_held(sealed, holder))
        except (SealBroken, NotBase64, ValueError):
            return None
        return facts

    def take(self, response: Response) -> None:
        """Let the browser forget it."""
        response.delete_cookie(self._name, path="/", secure=self.secure, httponly=True, samesite="lax")

    @property
    def _name(self) -> str:
        return f"__Host-{self.name}" if self.secure else self.name
