"""What administrators are told of a common gateway that takes its log-in no more: the password, or the sign-in at a
provider. Knows neither who refused it nor what is done about it.
"""

import shlex
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection

from outgate.directory import accounts, roles
from outgate.directory.privileges import Privilege
from outgate.directory.reply_rules import LONGEST_REPLY
from outgate.directory.roles import Administrator
from outgate.mail.suspension_message import common_suspension_notice
from outgate.model import Organisation, UsersGateway
from outgate.printable import printable
from outgate.queue import Put
from outgate.queue.queue_id import QueueIds, to_text
from outgate.submit import originate

MOST: Final = 20  # administrators


class CommonGatewayNotices:
    """`page` is where common gateways are mended; empty where there are no pages."""

    def __init__(self, queue_ids: QueueIds, hostname: str, page: str = "") -> None:
        self._queue_ids, self._hostname, self._page = queue_ids, hostname, page

    def __call__(self, connection: Connection, owned: UsersGateway, reason: str, now: float) -> list[Put]:
        """One to each of those who can mend it, in their language."""
        organisation = accounts.load_organisation(connection)
        told = roles.administrators(connection, Privilege.SEND_AS_MANAGE)[:MOST]
        return [self._to(one, owned, reason, organisation, now) for one in told]

    def _to(self, told: Administrator, owned: UsersGateway, reason: str, organisation: Organisation, now: float) -> Put:
        identity = self._queue_ids.new(now)
        raw = common_suspension_notice(
            to=told.address,
            address=owned.address,
            host=owned.gateway.host,
            username=printable(owned.gateway.username, LONGEST_REPLY),
            reply=reason,
            place=self._place(owned),
            organisation_name=organisation.primary_domain,
            sender=organisation.postmaster,
            date=now,
            message_id=f"{to_text(identity)}@{self._hostname}",
            language=told.language,
            signs_in=bool(owned.gateway.provider),
        )
        return originate(identity, raw, organisation.postmaster, [told.address], organisation, now)

    def _place(self, owned: UsersGateway) -> str:
        if not self._page:
            return shlex.join(printable(word, LONGEST_REPLY) for word in owned.repair)
        named = {"unit": owned.unit, "group": owned.group, "user": owned.account}
        to = {option: name for option, name in named.items() if name}
        return f"{self._page}?{urlencode({'address': owned.address, **to})}"
