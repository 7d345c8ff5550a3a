"""The public keys of an OpenID provider: found by discovery, kept, asked for again. Knows no token.

The provider is the administrator's own setting, so its host is not guarded as hosts given by users are.
"""

import asyncio
import json
import ssl
from typing import Any

import structlog

from outgate.extras import extra

with extra("oidc"):
    import httpx2
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, KeySet

PATIENCE = 5.0  # seconds to wait for the provider, both documents together
STEP = 3.0  # seconds for one step, such as the handshake; httpx2 closes what it breaks off, not what is cancelled
MAX_ANSWER = 256 * 1024  # bytes of a document
FRESH = 3600.0  # seconds after which keys are asked for again, so that one that was withdrawn is forgotten
KEPT = 86400.0  # seconds that keys are used while the provider is not to be had
PAUSE = 60.0  # seconds between two requests while there are keys; unknown key ids can't make it more
FIRST_PAUSE = 5.0  # the same while there are none

# Public keys alone: what has a secret, such as HS256's, can't be in a document that everybody may read.
_KEY_TYPES = ("RSA", "EC", "OKP")

_log = structlog.get_logger("accept")


class KeysUnavailable(Exception):
    """The provider can't be asked, and what is known of it does not suffice; the text says why."""


class ProviderKeys:
    """The keys of one issuer, for one event loop."""

    def __init__(self, issuer: str, context: ssl.SSLContext) -> None:
        self.configuration = configuration_url(issuer)
        self._issuer, self._context = issuer, context
        self._keys: KeySet | None = None
        self._fetched = self._tried = float("-inf")  # seconds since 1970
        self._fault = "it was not asked yet"
        self._asking = asyncio.Lock()

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
            raise KeysUnavailable(f"the OpenID provider {self._issuer} gives no keys: {self._fault}")
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
                self._keys = await self._fetch()
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError, RecursionError) as error:
            self._fault = str(error) or type(error).__name__
            _log.warning("the keys of the OpenID provider could not be had", issuer=self._issuer, error=self._fault)
        else:
            self._fetched, self._fault = now, ""
        finally:
            self._tried = now  # not before: who comes while it is under way waits for it

    async def _fetch(self) -> KeySet:
        """Ask (OpenID Connect Discovery 1.0 section 4). No proxy of the environment, and no redirect, is followed."""
        async with httpx2.AsyncClient(verify=self._context, trust_env=False, timeout=STEP) as client:
            found = await _document(client, self.configuration)
            if found.get("issuer") != self._issuer:
                raise ValueError(f"{self.configuration} is of another issuer; set oidc.issuer to what it says exactly")
            location = found.get("jwks_uri")
            if not isinstance(location, str) or not location.startswith("https://"):
                raise ValueError(f"{self.configuration} names no https address of keys (jwks_uri)")
            return _usable(await _document(client, location))


def configuration_url(issuer: str) -> str:
    """Where an issuer's discovery document is."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


async def _document(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    async with client.stream(
        "GET", url, headers={"Accept": "application/json", "Accept-Encoding": "identity"}
    ) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{url} answered with status {answer.status_code}")
        content = bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > MAX_ANSWER:
                raise ValueError(f"{url} answered with more than {MAX_ANSWER} bytes")
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ValueError(f"{url} did not answer with a JSON object")
    return document


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
        raise ValueError("it lists no key for signatures that can be used")
    return KeySet(keys)
