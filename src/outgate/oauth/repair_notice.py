"""Tells a gateway's user to sign in again: queued in the transaction that notes why, so told once over all nodes."""

from collections.abc import Callable
from urllib.parse import quote

from sqlalchemy import Connection

from outgate.directory import accounts, users
from outgate.mail.consent_message import consent_lost
from outgate.model import Gateway
from outgate.queue.queue_id import QueueIds, to_text
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
        owned = gateways.by_row(connection, [gateway.row]).get(str(gateway.row))
        if owned is None:
            return
        organisation, now = accounts.load_organisation(connection), self._now()
        identity = self._queue_ids.new(now)
        raw = consent_lost(
            address=owned.address,
            host=gateway.host,
            reason=reason,
            repair=self._repair(owned.account, owned.address, gateway.provider),
            to=owned.account,
            organisation_name=organisation.primary_domain,
            sender=organisation.postmaster,
            date=now,
            message_id=f"{to_text(identity)}@{self._hostname}",
            language=users.find(connection, owned.account).language,
        )
        apply(connection, [originate(identity, raw, organisation.postmaster, [owned.account], organisation, now)])

    def _repair(self, account: str, address: str, provider: str) -> str:
        if self._public_url:
            return f"{self._public_url}/settings/accounts/{quote(address, safe='@')}/server"
        return f"outgate sendas gateway sign-in {account} {address} --provider {provider}"
