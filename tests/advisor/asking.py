"""Questions to the advisor in tests: alice of example.com, with and without a gateway at the partner."""

from pathlib import Path

from outgate.advisor.advisor import Advisor, Question
from outgate.advisor.dkim_check import Signing
from outgate.advisor.findings import Findings
from outgate.config import Config, DeliverySettings
from outgate.model import Account, Organisation, Policy, SendAs

ALICE = "alice@example.com"
PARTNER = "alice@dominiopartner.example"
GATEWAY = "smtp.dominiopartner.example"
OUTGATE = "192.0.2.25"
ALLOWED = Policy(allow_external_smtp=True)

# The organisation as it should be, but for its DKIM key.
ORGANISATION = f"""
mail.example.com. 60 IN A {OUTGATE}
example.com. 60 IN TXT "v=spf1 ip4:{OUTGATE} -all"
_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject"
"""


async def findings(
    nameserver: str,
    address: str = PARTNER,
    *,
    gateway: str = "",
    policy: Policy = ALLOWED,
    signing: dict[str, Signing] | None = None,
    addresses: tuple[str, ...] = (),
    organisation: Organisation | None = None,
) -> Findings:
    """What the advisor finds for alice, asking this nameserver."""
    config = Config(
        data=Path("/nonexistent"), hostname="mail.example.com", delivery=DeliverySettings(nameservers=(nameserver,))
    )
    primary = SendAs(ALICE, is_primary=True, is_default=True, verified=True, own_domain=True)
    account = Account(1, ALICE, "Alice", "/", False, policy, {ALICE: primary})
    organisation = organisation or Organisation(frozenset({"example.com"}))
    question = Question(organisation, account, address, signing or {}, addresses, gateway)
    return await Advisor(config).findings(question)
