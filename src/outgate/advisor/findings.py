"""What is known about mail with a From address before it is sent. Data only: advice.py draws the conclusions."""

from enum import StrEnum

from outgate.frozen import frozen


class Spf(StrEnum):
    """Results of RFC 7208 section 2.6; `unknown` where there is no address to evaluate."""

    PASS = "pass"  # noqa: S105 -- a result of SPF, no password
    NEUTRAL = "neutral"
    NONE = "none"
    SOFTFAIL = "softfail"
    FAIL = "fail"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"
    UNKNOWN = "unknown"


class Dkim(StrEnum):
    """How a signature will be found (RFC 6376); `expected` where only the gateway's operator knows whether it signs."""

    PASS = "pass"  # noqa: S105 -- a result of DKIM, no password
    NOT_SIGNED = "not-signed"
    KEY_MISSING = "key-missing"
    KEY_DIFFERS = "key-differs"
    EXPECTED = "expected-if-it-signs"
    UNKNOWN = "unknown"


class DmarcPolicy(StrEnum):
    """What a domain asks of recipients for mail that fails DMARC (RFC 9989 section 4.7)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@frozen
class DmarcRecord:
    """The policy in force for a From domain. `published_by` is that domain, its organisation's, or a public suffix.

    `policy` is already the right one of `p`, `sp` and `np`; `tag` says which. `testing` is `t=y`.
    """

    published_by: str
    policy: DmarcPolicy
    tag: str = "p"
    testing: bool = False
    strict_spf: bool = False
    strict_dkim: bool = False

    @property
    def applied(self) -> DmarcPolicy:
        """What recipients are asked to do: one that is being tested counts one step less (RFC 9989 section 4.7)."""
        less = {DmarcPolicy.REJECT: DmarcPolicy.QUARANTINE, DmarcPolicy.QUARANTINE: DmarcPolicy.NONE}
        return less.get(self.policy, self.policy) if self.testing else self.policy


@frozen
class Unanswered:
    """A question that is open: nothing is known, neither yes nor no.

    `reason` is the DNS's response code (`SERVFAIL`), `timeout`, `unreachable` (no nameserver is), or `no-address`.
    """

    name: str
    reason: str


@frozen
class SpfCheck:
    """SPF of one address that mail may leave from. A temperror says to what the DNS gave no answer."""

    address: str
    result: Spf
    explanation: str = ""
    unanswered: Unanswered | None = None


@frozen
class Sending:
    """One way out. `host` is the server that recipients will meet, `estimate` says that its addresses may be others.

    `aligned` is as DMARC means it (RFC 9989 section 4.4): the domain proven is the From domain, or belongs to the same
    organisation where the record does not ask for more. `refused` is why the policy in force forbids this way.
    """

    host: str
    mail_from: str
    checks: tuple[SpfCheck, ...]
    spf_aligned: bool
    dkim: Dkim
    dkim_domain: str
    dkim_aligned: bool
    estimate: bool = False
    on_behalf_of: str | None = None
    dkim_name: str = ""
    refused: str | None = None
    unanswered: tuple[Unanswered, ...] = ()


@frozen
class Findings:
    """All that the advice for one From address rests on. `gateway` is None where the address has none."""

    address: str
    own_domain: bool
    dmarc: DmarcRecord | Unanswered | None
    organisation: Sending
    gateway: Sending | None = None

    @property
    def domain(self) -> str:
        """The domain that DMARC looks at."""
        return self.address.rpartition("@")[2]
