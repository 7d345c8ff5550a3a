"""Whether a domain asks recipients to refuse what would leave without its own server, for a warning by name.

The short form of the advisor: only the DMARC policy is asked for, and nobody is held up where the DNS gives no answer.
"""

import asyncio
from typing import Final

from outgate.advisor.advice import advise
from outgate.advisor.ask import Names, NoAnswerNow
from outgate.advisor.dmarc_check import discover
from outgate.advisor.findings import Dkim, DmarcPolicy, DmarcRecord, Findings, Sending
from outgate.advisor.tree_walk import of_one_organisation
from outgate.frozen import frozen
from outgate.model import Account, Organisation, SendAs
from outgate.route import Route, route

SECONDS: Final = 3.0  # that are waited for the DNS

# Stands for any recipient outside the organisation: which one it is plays no part in what is asked here.
_RECIPIENT: Final = "anybody@recipient.invalid"


@frozen
class StrictPolicy:
    """`published_by` asks for `policy` (quarantine or reject) for what fails DMARC; `sentence` says what follows."""

    published_by: str
    policy: DmarcPolicy
    sentence: str


async def strict_policy(
    names: Names, organisation: Organisation, account: Account, entry: SendAs, language: str = "en"
) -> StrictPolicy | None:
    """What speaks against sending as an address by the organisation's servers, in one of wording.LANGUAGES.

    None where it leaves by its own server, or not at all; where its domain asks for nothing of the kind, or is of one
    organisation with the account's, which may prove it; and where the DNS gives no answer.
    """
    way = route(organisation, account, entry, _RECIPIENT, reverse_path=entry.address)
    if not isinstance(way, Route) or way.on_behalf_of is None:
        return None
    domain, sender = (one.rpartition("@")[2] for one in (entry.address, way.on_behalf_of))
    try:
        async with asyncio.timeout(SECONDS):
            record = await discover(domain, names.texts, names.exists)
            if record is None or record.applied is DmarcPolicy.NONE or await _may_prove(names, record, domain, sender):
                return None
    except (NoAnswerNow, TimeoutError):
        return None
    sending = Sending("", sender, (), False, Dkim.NOT_SIGNED, sender, False, on_behalf_of=way.on_behalf_of)
    advice = advise(Findings(entry.address, False, record, sending), language)
    return StrictPolicy(record.published_by, record.policy, advice.sentence)


async def _may_prove(names: Names, record: DmarcRecord, domain: str, sender: str) -> bool:
    """By SPF or DKIM of the account's domain, where one of them may be of another domain of the organisation."""
    if record.strict_spf and record.strict_dkim:
        return False
    return await of_one_organisation(domain, sender, names.texts)
