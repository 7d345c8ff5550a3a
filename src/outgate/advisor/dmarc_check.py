"""The DMARC policy of a From domain (RFC 9989 section 4.10.1): found by the tree walk, and the right part of it."""

from collections.abc import Awaitable, Callable

from outgate.advisor.findings import DmarcPolicy, DmarcRecord
from outgate.advisor.tree_walk import PublishedRecord, Texts, organisational_domain, walk

Exists = Callable[[str], Awaitable[bool]]


async def discover(domain: str, texts: Texts, exists: Exists) -> DmarcRecord | None:
    """The policy in force for mail from this domain; None if there is none. Raises what it is given to ask raises."""
    found = await walk(domain, texts)
    organisation = organisational_domain(domain, found)
    by_domain = {record.domain: record for record in found}
    # The domain's own, its organisation's, and that of the suffix above, which only came last.
    for record in (by_domain.get(domain), by_domain.get(organisation), *found[-1:]):
        if record:
            return read_record(record, domain, exists=record.domain == domain or await exists(domain))
    return None


def read_record(record: PublishedRecord, domain: str, *, exists: bool = True) -> DmarcRecord | None:
    """A record as it holds for `domain`; None if it can't be used.

    Without a valid `p`, or with an invalid `sp` or `np`, a record counts as p=none if it names where reports go, else
    as none. Other values that can't be read are as if they were not there (section 4.7).
    """
    tags, below = record.tags, record.domain != domain
    tag = "p"
    if below:
        tag = next((one for one in ("np", "sp") if one in tags and (one == "sp" or not exists)), "p")
    policy = _policy(tags.get(tag))
    if _policy(tags.get("p")) is None or any(one in tags and _policy(tags[one]) is None for one in ("sp", "np")):
        if "mailto:" not in tags.get("rua", "").lower():
            return None
        tag, policy = "p", DmarcPolicy.NONE
    assert policy is not None
    return DmarcRecord(
        published_by=record.domain,
        policy=policy,
        tag=tag,
        testing=tags.get("t", "").lower() == "y",
        strict_spf=tags.get("aspf", "").lower() == "s",
        strict_dkim=tags.get("adkim", "").lower() == "s",
    )


def _policy(text: str | None) -> DmarcPolicy | None:
    try:
        return DmarcPolicy((text or "").lower())
    except ValueError:
        return None
