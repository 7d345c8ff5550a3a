"""The DMARC policy of a From domain (RFC 7489 section 6.6.3): found in the DNS, read, and the right part of it."""

from collections.abc import Awaitable, Callable, Sequence

from outgate.advisor.domains import organisational_domain
from outgate.advisor.findings import DmarcPolicy, DmarcRecord

Texts = Callable[[str], Awaitable[list[str]]]


async def discover(domain: str, texts: Texts) -> DmarcRecord | None:
    """The policy in force for mail from this domain; None if there is none. Raises what `texts` raises."""
    if domain.startswith("["):
        return None
    for publisher in dict.fromkeys((domain, organisational_domain(domain))):
        if records := _dmarc(await texts(f"_dmarc.{publisher}")):
            # "If the remaining set contains multiple records or no records, policy discovery terminates"
            return read_record(records[0], publisher, domain) if len(records) == 1 else None
    return None


def read_record(text: str, publisher: str, domain: str) -> DmarcRecord | None:
    """The record of `publisher` as it holds for `domain`; None if it can't be used.

    Without a valid `p`, or with an invalid `sp`, a record counts as p=none if it names where reports go, else as none.
    Other values that can't be read are as if they were not there (section 6.3).
    """
    tags = _tags(text)
    tag = "sp" if publisher != domain and "sp" in tags else "p"
    policy = _policy(tags.get(tag))
    if _policy(tags.get("p")) is None or ("sp" in tags and _policy(tags["sp"]) is None):
        if "mailto:" not in tags.get("rua", "").lower():
            return None
        tag, policy = "p", DmarcPolicy.NONE
    assert policy is not None
    percent = tags.get("pct", "")
    return DmarcRecord(
        published_by=publisher,
        policy=policy,
        tag=tag,
        percent=int(percent) if _is_percentage(percent) else 100,
        strict_spf=tags.get("aspf", "").lower() == "s",
        strict_dkim=tags.get("adkim", "").lower() == "s",
    )


def _dmarc(texts: Sequence[str]) -> list[str]:
    """Those that begin with the tag v=DMARC1, which "MUST appear first" (section 6.3)."""
    return [text for text in texts if "".join(text.partition(";")[0].split()) == "v=DMARC1"]


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, separator, value in pairs if separator}


def _policy(text: str | None) -> DmarcPolicy | None:
    try:
        return DmarcPolicy((text or "").lower())
    except ValueError:
        return None


def _is_percentage(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100
