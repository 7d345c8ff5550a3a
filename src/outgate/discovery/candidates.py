"""What discovery finds. Data only."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from outgate.frozen import frozen
from outgate.mail.addresses import AddressError, canonical, split
from outgate.model import Security


class Source(StrEnum):
    """Where settings come from, the most trusted first."""

    PRESET = "preset"
    PACC = "pacc"
    SRV = "srv"
    AUTOCONFIG = "autoconfig"
    MX_PRESET = "mx-preset"
    MX = "mx"


class Certainty(StrEnum):
    """How far to trust a candidate: shipped with Outgate; said by the domain; its mail is there; a guess."""

    KNOWN = "known"
    PUBLISHED = "published"
    LIKELY = "likely"
    GUESS = "guess"


class DiscoveryOutcome(StrEnum):
    """What came of looking at one place.

    `no-answer` is all that could not be had, whatever the cause: it says nothing of the network to who may not know.
    `not-offered` is the domain's own word that there is no such service. `unusable` is something that can't be used.
    """

    FOUND = "found"
    NOTHING = "nothing"
    NOT_OFFERED = "not-offered"
    UNUSABLE = "unusable"
    NO_ANSWER = "no-answer"


class NotUnderstood(ValueError):
    """A document is none of the kind; the text says why, and has nothing of the document in it."""


class UserName(StrEnum):
    """What a provider takes as the user name."""

    ADDRESS = "address"
    LOCAL_PART = "local-part"


@frozen
class Sought:
    """The address in compared form, and its parts."""

    address: str
    local: str
    domain: str

    @classmethod
    def of(cls, address: str) -> Self:
        """Raises AddressError, also where the address has no domain to ask about."""
        known = canonical(address)
        local, domain = split(known)
        if domain.startswith("[") or "." not in domain:
            raise AddressError(
                "nothing can be found out for {address}: it has no domain of the internet", address=known
            )
        return cls(known, local, domain)

    def username(self, form: UserName) -> str:
        """The user name in a provider's form."""
        return self.address if form is UserName.ADDRESS else self.local

    def has(self, host: str) -> bool:
        """Whether a host belongs to the address's own domain."""
        return host == self.domain or host.endswith(f".{self.domain}")


@frozen
class Candidate:
    """A gateway that may be the address's. `hint` is for the user: what else the provider wants; "" if nothing.

    `confirm`: the host is outside the address's domain and only the DNS says so, which anybody on the way can forge.
    It must be shown to the user for confirmation before a password goes there (RFC 6186 section 6).
    """

    host: str
    port: int
    security: Security
    username: str
    source: Source
    certainty: Certainty
    hint: str = ""
    confirm: bool = False


@frozen
class Looked:
    """One place that was looked at: a DNS name, a URL, or the presets. `detail` is for administrators alone."""

    source: Source
    where: str
    outcome: DiscoveryOutcome
    detail: str = ""


@frozen
class Discovered:
    """Candidates, the best first; and all that was looked at, in the same order."""

    candidates: tuple[Candidate, ...] = ()
    looked_at: tuple[Looked, ...] = ()

    @classmethod
    def of_all(cls, parts: Iterable[Self]) -> Self:
        """One after the other. Of candidates that differ in nothing that a user could choose, the first stays."""
        known = list(parts)
        best: dict[tuple[str, int, Security, str], Candidate] = {}
        for candidate in (one for part in known for one in part.candidates):
            best.setdefault((candidate.host, candidate.port, candidate.security, candidate.username), candidate)
        return cls(tuple(best.values()), tuple(looked for part in known for looked in part.looked_at))
