"""Who is told that a gateway refuses its log-in: the user whose gateway it is; of a common one the administrators who
can set it, and none of its users. Knows no queue: what it writes is put beside the suspension.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy import Engine

from outgate.deliver.common_gateway_notices import CommonGatewayNotices
from outgate.deliver.delivery import Delivery
from outgate.directory.reader import DirectoryReader
from outgate.directory.reply_rules import LONGEST_REPLY
from outgate.mail.suspension_message import suspension_notice
from outgate.model import Gateway, Organisation, UsersGateway
from outgate.printable import printable
from outgate.queue import Put
from outgate.queue.queue_id import QueueIds, to_text
from outgate.route import gateway_queue
from outgate.store.engine import read
from outgate.submit import originate


class SuspensionNotices:
    """`page` is where users mend their gateways, `common_page` where administrators mend common ones; both are empty
    where there are no pages. `owned` finds a gateway with whose it is by its queue in the database, in a thread.
    """

    def __init__(
        self,
        engine: Engine,
        directory: DirectoryReader,
        queue_ids: QueueIds,
        hostname: str,
        owned: Callable[[str], UsersGateway | None],
        page: str = "",
        common_page: str = "",
    ) -> None:
        self._engine, self._directory = engine, directory
        self._queue_ids, self._hostname, self._owned = queue_ids, hostname, owned
        self._page, self._to_repairers = page, CommonGatewayNotices(queue_ids, hostname, common_page)

    async def of(self, delivery: Delivery, reply: str, now: float) -> list[Put]:
        """What is written; nothing where the gateway is the organisation's. Raises StoreUnavailable."""
        gateway = delivery.route.gateway
        if gateway is None or not (gateway.is_common or delivery.route.is_by_own_gateway):
            return []
        if gateway.is_common:
            return await asyncio.to_thread(self._to_administrators, gateway, reply, now)
        organisation = await self._directory.organisation()
        return self._to_user(delivery, gateway, reply, organisation, now)

    def _to_user(
        self, delivery: Delivery, gateway: Gateway, reply: str, organisation: Organisation, now: float
    ) -> list[Put]:
        account, identity = delivery.account, self._queue_ids.new(now)
        if account is None:
            return []
        raw = suspension_notice(
            to=account.primary,
            address=delivery.item.message.chosen_from,
            host=gateway.host,
            username=printable(gateway.username, LONGEST_REPLY),
            reply=reply,
            organisation_name=organisation.primary_domain,
            sender=organisation.postmaster,
            date=now,
            message_id=f"{to_text(identity)}@{self._hostname}",
            link=self._page,
            language=account.language,
            signs_in=bool(gateway.provider),
        )
        return [originate(identity, raw, organisation.postmaster, [account.primary], organisation, now)]

    def _to_administrators(self, gateway: Gateway, reply: str, now: float) -> list[Put]:
        owned = self._owned(str(gateway_queue(gateway)))
        if owned is None:
            return []
        with read(self._engine) as connection:
            return self._to_repairers(connection, owned, reply, now)
