"""What this server has said itself and gets back in a form: signed, for one purpose, for some minutes. Knows no page.

So nothing need be kept between two steps of a log-in. What must be good once only is counted when it is taken.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from outgate.store.rates import Rates
from outgate.store.vault import Vault

SECONDS: Final = 300
_ONCE: Final = "1/10minutes"  # longer than a ticket is good for


class Tickets:
    """Gives and takes them."""

    def __init__(self, vault: Vault, engine: Engine, now: Callable[[], float]) -> None:
        self._vault, self._now = vault, now
        self._rates = Rates(engine, now)

    def give(self, purpose: str, **facts: str | int) -> str:
        """A new one; no two are alike. What it says can be read by whoever has it."""
        said = json.dumps({**facts, "until": self._now() + SECONDS, "nonce": secrets.token_urlsafe(16)})
        content = base64.urlsafe_b64encode(said.encode()).decode()
        return f"{content}.{self._signature(purpose, content)}"

    def read(self, purpose: str, ticket: str) -> dict[str, str | int] | None:
        """What it says; None if it is not ours, for something else, or too old."""
        content, _, signature = ticket.partition(".")
        if not hmac.compare_digest(self._signature(purpose, content).encode(), signature.encode()):
            return None
        facts: dict[str, str | int] = json.loads(base64.urlsafe_b64decode(content))
        return facts if float(facts["until"]) > self._now() else None

    def take(self, purpose: str, ticket: str) -> dict[str, str | int] | None:
        """As `read`, once. Writes, so it is called in a thread. Raises store.engine.StoreUnavailable."""
        facts = self.read(purpose, ticket)
        if facts is None:
            return None
        return facts if self._rates.hit(_ONCE, "ticket", hashlib.sha256(ticket.encode()).hexdigest()) else None

    def _signature(self, purpose: str, content: str) -> str:
        return self._vault.digest(content.encode(), f"ticket:{purpose}").hex()
