"""What came of the TLS of one session with an exchanger, in the terms in which its domain is told (RFC 8460). Pure.

Knows no connection and no report: whoever has had the session says it, and whoever counts is told.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from outgate.frozen import frozen

POLICY_TEXT: Final = 4096  # characters of one policy, in whole lines; what is longer is cut
REASON: Final = 200  # characters


class PolicyType(StrEnum):
    """What kind of policy was applied (section 4.4)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class ResultType(StrEnum):
    """Why there was no session as the policy wants it (section 4.3)."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    STS_FETCH_ERROR = "sts-policy-fetch-error"
    STS_INVALID = "sts-policy-invalid"
    STS_WEB_PKI = "sts-webpki-invalid"


@frozen
class AppliedPolicy:
    """A policy that was applied: of which domain, its lines (of TLSA, one for each record), and the names that an
    MTA-STS policy has for exchangers.
    """

    type: PolicyType
    domain: str
    lines: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()

    @classmethod
    def of(cls, type: PolicyType, domain: str, lines: Sequence[str], mx: Sequence[str] = ()) -> "AppliedPolicy":
        """With no more of its lines, and of its names, than are kept."""
        return cls(type, domain, tuple(_within(POLICY_TEXT, lines)), tuple(_within(POLICY_TEXT, mx)))


@frozen
class TlsFault:
    """What was wrong, and the words of whatever found it, for `failure-reason-code`."""

    result: ResultType
    reason: str = ""


@frozen
class SessionReport:
    """How sessions with a host are told of: to whom, and under which policy.

    `breach` is what is wrong whatever comes of the session; `unfetched` is why the policy that the domain announces is
    not the one that was applied.
    """

    domain: str
    policy: AppliedPolicy
    breach: TlsFault | None = None
    unfetched: TlsFault | None = None


@frozen
class TlsSession:
    """One session, or one that came to nothing before there was a connection. Without a fault it is as it should be."""

    domain: str
    policy: AppliedPolicy
    fault: TlsFault | None = None
    exchanger: str = ""
    receiving_address: str = ""
    sending_address: str = ""


CountSession = Callable[[TlsSession], None]


def uncounted(_: TlsSession) -> None:
    """For sessions that nobody is told of."""


def sessions(
    told: SessionReport, fault: TlsFault | None, exchanger: str, receiving_address: str, sending_address: str
) -> Iterator[TlsSession]:
    """What is to be counted of a session with a host: that itself, and that a policy could not be had."""
    fault = fault or told.breach
    if fault is None:
        yield TlsSession(told.domain, told.policy)
    else:
        yield TlsSession(told.domain, told.policy, fault, exchanger, receiving_address, sending_address)
    if told.unfetched:
        yield unfetched(told.domain, told.unfetched)


def unfetched(domain: str, fault: TlsFault) -> TlsSession:
    """A policy that is announced and can't be had has no text."""
    return TlsSession(domain, AppliedPolicy(PolicyType.STS, domain), fault)


def _within(most: int, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        most -= len(line)
        if most < 0:
            return
        yield line
