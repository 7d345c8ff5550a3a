"""Which domains belong to the same organisation, by the Public Suffix List (RFC 7489 section 3.2). Asks nobody."""

from functools import cache
from typing import TYPE_CHECKING

from outgate.extras import extra

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@cache
def _suffixes() -> "PublicSuffixList":
    with extra("diagnostics"):
        from publicsuffixlist import PublicSuffixList  # noqa: PLC0415
    return PublicSuffixList()  # the list that the package ships; reading it takes a while


def organisational_domain(domain: str) -> str:
    """The name one label below the public suffix; a public suffix itself and an address literal stay as they are."""
    return domain if domain.startswith("[") else _suffixes().privatesuffix(domain) or domain


def aligned(domain: str, from_domain: str, *, strict: bool) -> bool:
    """Whether a domain that SPF or DKIM proved speaks for the From domain (RFC 7489 section 3.1)."""
    if strict or domain == from_domain:
        return domain == from_domain
    return organisational_domain(domain) == organisational_domain(from_domain)
