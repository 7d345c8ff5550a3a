"""What verifying an access token can come to, as data. Knows no format of tokens and no provider (oidc.py does)."""

from typing import Protocol

from outgate.frozen import frozen


@frozen
class Verified:
    """A good token: the primary address of its user in compared form, and until when (seconds since 1970) it holds."""

    address: str
    valid_until: float


@frozen
class TokenRefused:
    """A token that does not hold. `reason` is for the log and quotes nothing of it but public parts.

    `told` goes to the client, if it is to know more than that the log-in failed.
    """

    reason: str
    told: str = ""


@frozen
class ProviderUnavailable:
    """Nobody can say now whether the token holds."""

    reason: str


class TokenVerifier(Protocol):
    """Whoever can tell good tokens from others. `configuration` is the URL of the provider's discovery document."""

    configuration: str

    async def verify(self, token: str, now: float) -> Verified | TokenRefused | ProviderUnavailable:
        """Judge a token at this time, in seconds since 1970."""
