"""Who is told that a gateway refuses its log-in: the user whose gateway it is; of a common one the administrators who
can set it, and none of its users. Knows no queue: what it writes is put beside the suspension.
"""

import asyncio
import shlex
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Engine

from outgate.deliver.delivery import Delivery
from outgate.directory import roles
from outgate.directory.privileges import Privilege
from outgate.directory.reader import DirectoryReader
from outgate.directory.reply_rules import LONGEST_REPLY
from outgate.directory.roles import Administrator
from outgate.mail.suspension_message import common_suspension_notice, suspension_notice
from outgate.model import Gateway, Organisation, UsersGateway
from outgate.printable import printable
from outgate.queue import Put
from outgate.queue.queue_id import QueueIds, to_text
from outgate.route import gateway_queue
from outgate.store.engine import read
from outgate.submit import originate

MOST: Final = 20  # administrators


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
        self._page, self._common_page = page, common_page

    async def of(self, delivery: Delivery, reply: str, now: float) -> list[Put]:
        """What is written; nothing where the gateway is the organisation's. Raises StoreUnavailable."""
        gateway = delivery.route.gateway
        if gateway is None or not (gateway.is_common or delivery.route.is_by_own_gateway):
            return []
        organisation = await self._directory.organisation()
        if gateway.is_common:
            return await self._to_administrators(gateway, reply, organisation, now)
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

    async def _to_administrators(
        self, gateway: Gateway, reply: str, organisation: Organisation, now: float
    ) -> list[Put]:
        owned, told = await asyncio.to_thread(self._concerned, str(gateway_queue(gateway)))
        return [self._to_administrator(one, owned, reply, organisation, now) for one in told] if owned else []

    def _concerned(self, queue: str) -> tuple[UsersGateway | None, Sequence[Administrator]]:
        """Whose gateway it is, and who can set another password."""
        with read(self._engine) as connection:
            told = roles.administrators(connection, Privilege.SEND_AS_MANAGE)
        return self._owned(queue), told[:MOST]

    def _to_administrator(
        self, told: Administrator, owned: UsersGateway, reply: str, organisation: Organisation, now: float
    ) -> Put:
        identity = self._queue_ids.new(now)
        raw = common_suspension_notice(
            to=told.address,
            address=owned.address,
            host=owned.gateway.host,
            username=printable(owned.gateway.username, LONGEST_REPLY),
            reply=reply,
            place=self._place(owned),
            organisation_name=organisation.primary_domain,
            sender=organisation.postmaster,
            date=now,
            message_id=f"{to_text(identity)}@{self._hostname}",
            language=told.language,
        )
        return originate(identity, raw, organisation.postmaster, [told.address], organisation, now)

    def _place(self, owned: UsersGateway) -> str:
        if not self._common_page:
            return shlex.join(printable(word, LONGEST_REPLY) for word in owned.repair)
        named = {"unit": owned.unit, "group": owned.group, "user": owned.account}
        to = {option: name for option, name in named.items() if name}
        return f"{self._common_page}?{urlencode({'address': owned.address, **to})}"
