"""All columns that hold sealed values, and the identity that each value is sealed for. Who adds such a column adds it
here: rotation, the count by key and the search for secrets in the open go by this list.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Table, select

from outgate.store import tables
from outgate.store.vault import credential, key_id_of, signing_key

AnyRow = Row[*tuple[Any, ...]]

AUDIT_HEAD: Final = "audit-head"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed values. `identity` is what a row's value is sealed for."""

    table: Table
    column: Column[bytes]
    identity: Callable[[AnyRow], str]

    def rows(self, connection: Connection) -> Iterator[AnyRow]:
        """The rows that have a value."""
        return iter(connection.execute(select(self.table).where(self.column.is_not(None))).all())

    def value(self, row: AnyRow) -> bytes:
        """The sealed value of a row."""
        found: bytes = row._mapping[self.column]
        return found


def credential_of(row: AnyRow, prefix: str) -> str:
    """The identity of a gateway row's password; `prefix` is `gateway` or `domain-gateway`."""
    return credential(f"{prefix}:{row.id}", row.credential_version, row.security, row.host, row.port, row.username)


GATEWAY: Final = SealedColumn(
    tables.gateway, tables.gateway.c.sealed_password, lambda row: credential_of(row, "gateway")
)
DOMAIN_GATEWAY: Final = SealedColumn(
    tables.domain_gateway, tables.domain_gateway.c.sealed_password, lambda row: credential_of(row, "domain-gateway")
)
DKIM: Final = SealedColumn(tables.domain, tables.domain.c.dkim_sealed_key, lambda row: signing_key(row.name))
HEAD: Final = SealedColumn(tables.organisation, tables.organisation.c.audit_head, lambda _: AUDIT_HEAD)

SEALED: Final = (GATEWAY, DOMAIN_GATEWAY, DKIM, HEAD)


def count_by_key(connection: Connection) -> dict[str, int]:
    """How many values each key has sealed, by key id. A key that is not in it may be removed."""
    return dict(Counter(key_id_of(column.value(row)) for column in SEALED for row in column.rows(connection)))
