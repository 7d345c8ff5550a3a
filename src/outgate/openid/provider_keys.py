"""What an OpenID provider publishes: its discovery document and the keys that this names, read together, kept, and read
again. Knows no token and no HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, KeySet

PATIENCE: Final = 5.0  # seconds to wait for the provider, both documents together
FRESH: Final = 3600.0  # seconds after which keys are asked for again, so that one that was withdrawn is forgotten
KEPT: Final = 86400.0  # seconds that keys are used while the provider is not to be had
PAUSE: Final = 60.0  # seconds between two requests while there are keys; unknown key ids can't make it more
FIRST_PAUSE: Final = 5.0  # the same while there are none

# Public keys alone: what has a secret, such as HS256's, can't be in a document that everybody may read.
_KEY_TYPES: Final = ("RSA", "EC", "OKP")

_log = structlog.get_logger("openid")

# Gets a JSON object by its URL; raises ValueError (ProviderUnfit where asking again won't help) or TimeoutError
# that say why there is none.
Ask = Callable[[str], Awaitable[dict[str, Any]]]


class ProviderUnfit(ValueError):
    """What is there can't be used until the settings, here or at the provider, are others; the text says why."""


class KeysUnavailable(Exception):
    """The provider can't be asked, and what is known of it does not suffice; the text says why. `is_unfit`: it may be
    asked, but what it says can't be used.
    """

    def __init__(self, text: str, *, is_unfit: bool = False) -> None:
        super().__init__(text)
        self.is_unfit = is_unfit


class ProviderKeys:
    """The keys of one issuer, for one event loop. `setting` is the name of the setting that has the issuer."""

    def __init__(self, issuer: str, ask: Ask, setting: str) -> None:
        self.configuration = configuration_url(issuer)
        self._issuer, self._ask, self._setting = issuer, ask, setting
        self._keys: KeySet | None = None
        self._document: Mapping[str, Any] = {}
        self._fetched = self._tried = float("-inf")  # seconds since 1970
        self._fault, self._is_unfit = "it was not asked yet", False
        self._asking = asyncio.Lock()

    async def document(self, now: float) -> Mapping[str, Any]:
        """The discovery document; the keys that it names are there, too. Raises KeysUnavailable."""
        await self.find(None, now)
        return self._document

    async def find(self, kid: str | None, now: float) -> KeySet:
        """The keys among which `kid` is to be sought, asked for anew if need be; raises KeysUnavailable.

        A key id that is not known is not in what is returned; while the provider is not to be had, it raises instead,
        since the key may be a new one.
        """
        if self._is_due(kid, now):
            async with self._asking:
                if self._is_due(kid, now):  # others who waited have their answer
                    await self._refresh(now)
        if self._keys is None or now - self._fetched > KEPT or (self._fault and not self._has(kid)):
            raise KeysUnavailable(
                f"the OpenID provider {self._issuer} gives no keys: {self._fault}", is_unfit=self._is_unfit
            )
        return self._keys

    def _is_due(self, kid: str | None, now: float) -> bool:
        if 0 <= now - self._tried < (PAUSE if self._keys else FIRST_PAUSE):
            return False
        return not 0 <= now - self._fetched < FRESH or not self._has(kid)

    def _has(self, kid: str | None) -> bool:
        return self._keys is not None and (kid is None or any(key.kid == kid for key in self._keys))

    async def _refresh(self, now: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                self._document, self._keys = await self._fetch()
        except (TimeoutError, ValueError, RecursionError) as error:
            self._fault, self._is_unfit = str(error) or type(error).__name__, isinstance(error, ProviderUnfit)
            _log.warning("the keys of the OpenID provider could not be had", issuer=self._issuer, error=self._fault)
        else:
            self._fetched, self._fault, self._is_unfit = now, "", False
        finally:
            self._tried = now  # not before: who comes while it is under way waits for it

    async def _fetch(self) -> tuple[Mapping[str, Any], KeySet]:
        """Ask (OpenID Connect Discovery 1.0 section 4)."""
        found = await self._ask(self.configuration)
        if found.get("issuer") != self._issuer:
            raise ProviderUnfit(
                f"{self.configuration} is of another issuer; set {self._setting} to what it says exactly"
            )
        location = found.get("jwks_uri")
        if not isinstance(location, str) or not location.startswith("https://"):
            raise ProviderUnfit(f"{self.configuration} names no https address of keys (jwks_uri)")
        return found, _usable(await self._ask(location))


def configuration_url(issuer: str) -> str:
    """Where an issuer's discovery document is."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


def _usable(document: dict[str, Any]) -> KeySet:
    """Keys for signatures. One that can't be understood is passed over (RFC 7517 section 5)."""
    listed = document.get("keys")
    keys = []
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict) or entry.get("kty") not in _KEY_TYPES or entry.get("use", "sig") != "sig":
            continue
        try:
            keys.append(JWKRegistry.import_key(entry))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            _log.warning(
                "a key of the OpenID provider can't be used", kid=str(entry.get("kid"))[:200], error=str(error)
            )
    if not keys:
        raise ProviderUnfit("it lists no key for signatures that can be used")
    return KeySet(keys)
