"""Requests forged by other sites (CSRF), refused by what browsers say of where a request comes from. Pure.

No tokens in forms: every browser of today sends Sec-Fetch-Site (W3C Fetch Metadata) to a server with TLS, and others
send Origin (RFC 6454) with what changes something. Programs that are no browser send neither; nobody can make them send
a request with somebody else's cookie.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # change nothing (RFC 9110 9.2.1)

_OWN: Final = frozenset({"same-origin", "none"})  # our pages; the user's own doing (a bookmark, the address bar)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_forged(method: str, headers: Mapping[str, str], own_origin: str) -> bool:
    """Whether another site's page asks for a change.

    `headers` are found by lower-case names; `own_origin` is as of `origin_of`. A site of the same domain ("same-site")
    is another one: it may be anybody's in the organisation.
    """
    if method in SAFE_METHODS:
        return False
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in _OWN
    if (origin := headers.get("origin")) is not None:
        return origin != own_origin  # also "null", which is nobody's
    return False


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL as browsers write them (RFC 6454 6.2): in lower case, without the usual port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    bracketed = f"[{host}]" if ":" in host else host
    usual = parts.port is None or parts.port == _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{bracketed}" + ("" if usual else f":{parts.port}")
