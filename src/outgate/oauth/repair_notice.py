"""Suspends a gateway whose consent has ended and tells its user to sign in again, both in the transaction that notes
why: so it is in force, and told once, over all nodes.
"""

from collections.abc import Callable
from urllib.parse import quote

from sqlalchemy import Connection

from outgate.directory import accounts, restrictions, users
from outgate.directory.restrictions import SERVER
from outgate.mail.consent_message import consent_lost
from outgate.model import Cause, Gateway, Restriction
from outgate.queue.queue_id import QueueIds, to_text
from outgate.route import gateway_queue
from outgate.sendas import gateways
from outgate.store.batch import apply
from outgate.submit import originate


class RepairNotice:
    """What the message needs of the installation. `public_url` is empty where there are no pages."""

    def __init__(self, hostname: str, public_url: str, queue_ids: QueueIds, now: Callable[[], float]) -> None:
        self._hostname, self._public_url = hostname, public_url.rstrip("/")
        self._queue_ids, self._now = queue_ids, now

    def __call__(self, connection: Connection, gateway: Gateway, reason: str) -> None:
        """Queue it, to the primary address of the account whose gateway it is."""
        now = self._now()
        suspended = Restriction(Cause.LOG_IN, reason, SERVER, now, credential_version=gateway.credential_version)
        restrictions.put(connection, gateway_queue(gateway), suspended)
        owned = gateways.by_row(connection, [gateway.row]).get(str(gateway.row))
        if owned is None:
            return
        organisation = accounts.load_organisation(connection)
        identity = self._queue_ids.new(now)
        raw = consent_lost(
            address=owned.address,
            host=gateway.host,
            reason=reason,
            repair=self._repair(owned.address),
            to=owned.account,
            organisation_name=organisation.primary_domain,
            sender=organisation.postmaster,
            date=now,
            message_id=f"{to_text(identity)}@{self._hostname}",
            language=users.find(connection, owned.account).language,
        )
        apply(connection, [originate(identity, raw, organisation.postmaster, [owned.account], organisation, now)])

    def _repair(self, address: str) -> str:
        return f"{self._public_url}/settings/accounts/{quote(address, safe='@')}/server" if self._public_url else ""
