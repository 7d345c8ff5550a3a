"""SPF, DKIM and DMARC of one message, by pyspf, dkimpy and authheaders.

Knows no server; asks the process's resolver.
"""

import warnings

from outgate.frozen import frozen

with warnings.catch_warnings():
    # pyspf 2.0.14 has "\\d" in plain strings, of which Python warns when it first compiles it.
    warnings.simplefilter("ignore")
    import authheaders


@frozen
class Checks:
    """Results in the words of RFC 8601, and the domain that SPF and DKIM speak for ("" if none)."""

    spf: str
    spf_domain: str
    dkim: str
    dkim_domain: str
    dmarc: str
    policy: str


def check(content: bytes, address: str, helo: str, reverse_path: str) -> Checks:
    """Check a message as it came: from which address, under which name in EHLO, with which MAIL FROM. Blocks on DNS."""
    # RFC 7208 section 2.4: with a null sender, SPF looks at the name in EHLO.
    sender = reverse_path or f"postmaster@{helo}"
    spf = authheaders.check_spf(address, sender, helo)
    dkim = authheaders.check_dkim(content)
    dmarc = authheaders.check_dmarc(content, spf, dkim)
    return Checks(
        spf=spf.result,
        spf_domain=sender.rpartition("@")[2],
        dkim=dkim.result if dkim.header_d else "none",
        dkim_domain=dkim.header_d,
        dmarc=dmarc.result,
        policy=getattr(dmarc, "policy", None) or "none",
    )
