"""The message that proves who reads an address: made, and queued in the transaction that needs it. Never printed."""

from dataclasses import field

from sqlalchemy import Connection

from outgate.directory import accounts, users
from outgate.frozen import frozen
from outgate.mail.confirmation_message import confirmation
from outgate.model import Account
from outgate.queue.queue_id import QueueIds, to_text
from outgate.sendas import verification
from outgate.store.batch import apply
from outgate.store.vault import Vault
from outgate.submit import originate


@frozen
class Confirmation:
    """What the message needs of the installation. `public_url` is empty where there is no page for the link.

    One for all that are sent together: its queue ids differ however many are made at one moment.
    """

    hostname: str
    public_url: str = ""
    queue_ids: QueueIds = field(default_factory=QueueIds, compare=False)

    def send(self, connection: Connection, vault: Vault, account: Account, address: str, now: float) -> str:
        """Start the verification of an address and queue its message; returns the queue id as text."""
        challenge = verification.start(connection, vault, account.id, address, now)
        organisation = accounts.load_organisation(connection)
        identity = self.queue_ids.new(now)
        raw = confirmation(
            address=address,
            code=challenge.code,
            account=account.primary,
            organisation_name=organisation.primary_domain,
            sender=organisation.postmaster,
            days=int(verification.VALID_SECONDS // 86400),
            date=now,
            message_id=f"{to_text(identity)}@{self.hostname}",
            link=f"{self.public_url.rstrip('/')}/confirm/{challenge.token}" if self.public_url else None,
            language=users.find(connection, account.primary).language,
        )
        put = originate(identity, raw, organisation.postmaster, [address], organisation, now)
        apply(connection, [put])
        return to_text(identity)
