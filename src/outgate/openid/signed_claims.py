"""The claims of a JWT, once its signature is known to be the provider's. Knows no claim but by its format.

Signatures by public keys alone: never `none`, nor HS*, for whose secret a public key could be passed off.
"""

import json
import warnings
from collections.abc import Collection
from typing import Any, Final

from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError, SecurityWarning
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact

from outgate.openid.provider_keys import ProviderKeys

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "Ed25519")
LEEWAY: Final = 60  # seconds that the provider's clock may be off

# What the library raises on input that is not even of the right kind, besides its own errors.
_MALFORMED: Final = (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError)


class TokenUnfit(Exception):
    """The token is not accepted; the text says why, and quotes nothing of it but public parts."""


class _Registry(JWSRegistry):
    max_header_length = 4096  # bytes; some providers put a certificate chain here


_REGISTRY: Final = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


async def signed_claims(token: str, keys: ProviderKeys, types: Collection[str], now: float) -> dict[str, Any]:
    """What a token of one of these types (its `typ`, in lower case) says.

    Raises TokenUnfit; openid.provider_keys.KeysUnavailable if nobody can say now. The header is checked before anything
    is asked of the provider for it.
    """
    signed = _read(token, types)
    found = await keys.find(signed.headers().get("kid"), now)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # RFC 9864 renames EdDSA; providers still say it
            if not validate_compact(signed, found, registry=_REGISTRY):
                raise BadSignatureError
        claims = json.loads(signed.payload or b"")
    except InvalidKeyIdError:
        raise TokenUnfit("the provider has no such key") from None
    except _MALFORMED:
        raise TokenUnfit("the signature is not one of the provider's, or signs no claims") from None
    if not isinstance(claims, dict):
        raise TokenUnfit("the token has no claims")
    return claims


def _read(token: str, types: Collection[str]) -> CompactSignature:
    try:
        signed = extract_compact(token.encode(), registry=_REGISTRY)
        header = signed.headers()
        _REGISTRY.check_header(header)
    except _MALFORMED:
        raise TokenUnfit("the token can't be read") from None
    if header["alg"] not in ALGORITHMS:
        raise TokenUnfit(f"the token's algorithm is none of {', '.join(ALGORITHMS)}")
    # A logout token or a DPoP proof has a signature of the same keys, and another type (RFC 8725 section 3.11).
    if "crit" in header or header.get("typ", "JWT").lower() not in types:
        raise TokenUnfit("the JWT is not an access token or ID token, or demands an extension")
    return signed
