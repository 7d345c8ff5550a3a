"""All columns that hold sealed values, and the identity that each value is sealed for. Who adds such a column adds it
here: rotation, the count by key and the search for secrets in the open go by this list.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Table, select

from outgate.frozen import frozen
from outgate.store import tables
from outgate.store.vault import (
    client_secret,
    credential,
    holder_of,
    holder_of_common,
    hosts_of,
    key_id_of,
    second_factor,
    signing_key,
    token,
    webhook_secret,
)

AnyRow = Row[*tuple[Any, ...]]

AUDIT_HEAD: Final = "audit-head"
AUDIT_KEY: Final = "audit-key"
AUDIT_ANCHOR: Final = "audit-anchor"


@frozen
class SealedColumn:
    """A column of sealed values. `identity` is what a row's value is sealed for; it may name the rows of other tables
    that the row belongs to, `beside`: each belongs to the next.
    """

    table: Table
    column: Column[bytes]
    identity: Callable[[AnyRow], str]
    beside: tuple[Table, ...] = ()

    def rows(self, connection: Connection) -> Iterator[AnyRow]:
        """The rows that have a value."""
        query = select(self.table)
        former = self.table
        for other in self.beside:
            named = [column.label(f"{other.name}__{column.name}") for column in other.columns]
            query = query.add_columns(*named).join_from(former, other)
            former = other
        return iter(connection.execute(query.where(self.column.is_not(None))).all())

    def value(self, row: AnyRow) -> bytes:
        """The sealed value of a row."""
        found: bytes = row._mapping[self.column]
        return found


def user_credential(row: AnyRow) -> str:
    """The identity of the password in a row of `gateway`, with the columns of its `send_as` row beside."""
    return _credential(f"gateway:{row.id}", holder_of(row.send_as__account_id, row.send_as__address), row)


def relay_credential(row: AnyRow) -> str:
    """The identity of the password in a row of `domain_gateway`: it is for all of its hosts, and for no other."""
    hosts = hosts_of(row.host, row.fallbacks.split())
    name = f"domain-gateway:{row.id}"
    return credential(name, row.domain, row.credential_version, row.security, hosts, row.port, row.username)


def common_credential(row: AnyRow) -> str:
    """The identity of the password in a row of `common_gateway`, with the columns of its grant beside."""
    holder = holder_of_common(row.grant_id, row.address_grant__address)
    return _credential(f"common-gateway:{row.grant_id}", holder, row)


def _user_token(kind: str, row: AnyRow) -> str:
    """Of a row of `oauth_grant`, with the columns of its gateway and of that one's `send_as` row beside."""
    holder = holder_of(row.send_as__account_id, row.send_as__address)
    return _token(kind, row, "gateway", f"gateway:{row.gateway_id}", holder)


def _common_token(kind: str, row: AnyRow) -> str:
    """The same with the columns of a common gateway and of the grant of its address beside."""
    holder = holder_of_common(row.common_grant_id, row.address_grant__address)
    return _token(kind, row, "common_gateway", f"common-gateway:{row.common_grant_id}", holder)


def _token(kind: str, row: AnyRow, table: str, name: str, holder: str) -> str:
    version, security, host, port, username, provider, way = (
        row._mapping[f"{table}__{column}"]
        for column in ("credential_version", "security", "host", "port", "username", "provider", "kind")
    )
    # As directory.gateway_settings has it: a provider's interface stands in place of a kind of SMTP's connection.
    of = credential(name, holder, version, security if way == "smtp" else way, host, port, username)
    return token(kind, provider, row.generation, of)


def _credential(name: str, holder: str, row: AnyRow) -> str:
    return credential(name, holder, row.credential_version, row.security, row.host, row.port, row.username)


GATEWAY: Final = SealedColumn(
    tables.gateway, tables.gateway.c.sealed_password, user_credential, beside=(tables.send_as,)
)
COMMON_GATEWAY: Final = SealedColumn(
    tables.common_gateway,
    tables.common_gateway.c.sealed_password,
    common_credential,
    beside=(tables.address_grant,),
)
DOMAIN_GATEWAY: Final = SealedColumn(
    tables.domain_gateway,
    tables.domain_gateway.c.sealed_password,
    relay_credential,
)
DKIM: Final = SealedColumn(
    tables.domain_key,
    tables.domain_key.c.sealed_key,
    lambda row: signing_key(row.domain__name),
    beside=(tables.domain,),
)
HEAD: Final = SealedColumn(tables.organisation, tables.organisation.c.audit_head, lambda _: AUDIT_HEAD)
TRAIL_KEY: Final = SealedColumn(tables.organisation, tables.organisation.c.audit_key, lambda _: AUDIT_KEY)

ANCHOR: Final = SealedColumn(tables.organisation, tables.organisation.c.audit_anchor, lambda _: AUDIT_ANCHOR)

SECOND_FACTOR: Final = SealedColumn(
    tables.second_factor, tables.second_factor.c.sealed_secret, lambda row: second_factor(row.account_id)
)
_TOKENS: Final = (
    ("refresh", tables.oauth_grant.c.sealed_refresh_token),
    ("access", tables.oauth_grant.c.sealed_access_token),
)
USER_TOKENS: Final = [
    SealedColumn(tables.oauth_grant, column, partial(_user_token, kind), (tables.gateway, tables.send_as))
    for kind, column in _TOKENS
]
COMMON_TOKENS: Final = [
    SealedColumn(
        tables.oauth_grant, column, partial(_common_token, kind), (tables.common_gateway, tables.address_grant)
    )
    for kind, column in _TOKENS
]
CLIENT_SECRET: Final = SealedColumn(
    tables.oauth_client,
    tables.oauth_client.c.sealed_secret,
    lambda row: client_secret(row.provider, row.client_id),
)
WEBHOOK_SECRET, FORMER_WEBHOOK_SECRET = (
    SealedColumn(tables.webhook, column, lambda row: webhook_secret(row.name))
    for column in (tables.webhook.c.sealed_secret, tables.webhook.c.sealed_former_secret)
)

SEALED: Final = (
    *(GATEWAY, COMMON_GATEWAY, DOMAIN_GATEWAY, DKIM, HEAD, TRAIL_KEY, ANCHOR),
    *(*USER_TOKENS, *COMMON_TOKENS, CLIENT_SECRET, SECOND_FACTOR),
    *(WEBHOOK_SECRET, FORMER_WEBHOOK_SECRET),
)


def count_by_key(connection: Connection) -> dict[str, int]:
    """How many values each key has sealed, by key id. A key that is not in it may be removed."""
    return dict(Counter(key_id_of(column.value(row)) for column in SEALED for row in column.rows(connection)))
