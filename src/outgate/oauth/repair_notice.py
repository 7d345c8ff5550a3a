"""Suspends a gateway whose consent has ended and tells its user to sign in again, of a common one the administrators;
all in the transaction that notes why: so it is in force, and told once, over all nodes.
"""

from collections.abc import Callable
from urllib.parse import quote

from sqlalchemy import Connection

from outgate.directory import accounts, restrictions, users
from outgate.directory.restrictions import SERVER
from outgate.mail.consent_message import consent_lost
from outgate.model import Cause, Gateway, Restriction, UsersGateway
from outgate.queue import Put
from outgate.queue.queue_id import QueueIds, to_text
from outgate.route import gateway_queue
from outgate.sendas import gateways
from outgate.store.batch import apply
from outgate.submit import originate

ToAdministrators = Callable[[Connection, UsersGateway, str, float], list[Put]]  # reason, and the time


class RepairNotice:
    """What the message needs of the installation. `public_url` is empty where there are no pages."""

    def __init__(
        self,
        hostname: str,
        public_url: str,
        queue_ids: QueueIds,
        now: Callable[[], float],
        to_administrators: ToAdministrators,
    ) -> None:
        self._hostname, self._public_url = hostname, public_url.rstrip("/")
        self._queue_ids, self._now, self._to_administrators = queue_ids, now, to_administrators

    def __call__(self, connection: Connection, gateway: Gateway, reason: str) -> None:
        """Queue it, to the primary address of the account whose gateway it is; of a common one to those who mend it."""
        now, queue = self._now(), gateway_queue(gateway)
        suspended = Restriction(Cause.LOG_IN, reason, SERVER, now, credential_version=gateway.credential_version)
        restrictions.put(connection, queue, suspended)
        owned = gateways.of_queues(connection, [str(queue)]).get(str(queue))
        if owned is None:
            return
        written = self._to_administrators if gateway.is_common else self._to_user
        apply(connection, written(connection, owned, reason, now))

    def _to_user(self, connection: Connection, owned: UsersGateway, reason: str, now: float) -> list[Put]:
        organisation = accounts.load_organisation(connection)
        identity = self._queue_ids.new(now)
        raw = consent_lost(
            address=owned.address,
            host=owned.gateway.host,
            reason=reason,
            repair=self._repair(owned.address),
            to=owned.account,
            organisation_name=organisation.primary_domain,
            sender=organisation.postmaster,
            date=now,
            message_id=f"{to_text(identity)}@{self._hostname}",
            language=users.find(connection, owned.account).language,
        )
        return [originate(identity, raw, organisation.postmaster, [owned.account], organisation, now)]

    def _repair(self, address: str) -> str:
        return f"{self._public_url}/settings/accounts/{quote(address, safe='@')}/server" if self._public_url else ""
