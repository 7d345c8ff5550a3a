"""The code that proves who reads an address: made, and its message queued, in one transaction. Never printed."""

from sqlalchemy import Connection

from outgate.authorise import Account
from outgate.directory import accounts, organisation
from outgate.mail.addresses import Mailbox
from outgate.mail.compose import confirmation
from outgate.queue import changes
from outgate.queue.identity import Identities, to_text
from outgate.queue.originate import originate
from outgate.sendas import verification
from outgate.store.vault import Vault


def send_code(connection: Connection, vault: Vault, hostname: str, account: Account, address: str, now: float) -> str:
    """Start the verification of an address and queue the message with its code; returns the queue id as text."""
    code = verification.start(connection, vault, account.id, address, now)
    domain = organisation.domains(connection)[0].name
    sender = f"postmaster@{domain}"
    identity = Identities().new(now)
    raw = confirmation(
        address=address,
        code=code,
        account=account.primary,
        organisation_name=domain,
        sender=Mailbox("", sender),
        date=now,
        message_id=f"{to_text(identity)}@{hostname}",
    )
    put = originate(identity, raw, sender, [address], accounts.load_organisation(connection), now)
    changes.apply(connection, [put])
    return to_text(identity)
