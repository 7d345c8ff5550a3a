"""All columns that hold sealed values, and the identity that each value is sealed for. Who adds such a column adds it
here: rotation, the count by key and the search for secrets in the open go by this list.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Table, select

from outgate.frozen import frozen
from outgate.store import tables
from outgate.store.vault import credential, holder_of, key_id_of, second_factor, signing_key

AnyRow = Row[*tuple[Any, ...]]

AUDIT_HEAD: Final = "audit-head"
AUDIT_KEY: Final = "audit-key"
AUDIT_ANCHOR: Final = "audit-anchor"


@frozen
class SealedColumn:
    """A column of sealed values. `identity` is what a row's value is sealed for; it may name the row of another table
    that the row belongs to, `beside`.
    """

    table: Table
    column: Column[bytes]
    identity: Callable[[AnyRow], str]
    beside: Table | None = None

    def rows(self, connection: Connection) -> Iterator[AnyRow]:
        """The rows that have a value."""
        query = select(self.table)
        if self.beside is not None:
            named = [column.label(f"{self.beside.name}_{column.name}") for column in self.beside.columns]
            query = query.add_columns(*named).join(self.beside)
        return iter(connection.execute(query.where(self.column.is_not(None))).all())

    def value(self, row: AnyRow) -> bytes:
        """The sealed value of a row."""
        found: bytes = row._mapping[self.column]
        return found


def user_credential(row: AnyRow) -> str:
    """The identity of the password in a row of `gateway`, with the columns of its `send_as` row beside."""
    return _credential(f"gateway:{row.id}", holder_of(row.send_as_account_id, row.send_as_address), row)


def _credential(name: str, holder: str, row: AnyRow) -> str:
    return credential(name, holder, row.credential_version, row.security, row.host, row.port, row.username)


GATEWAY: Final = SealedColumn(tables.gateway, tables.gateway.c.sealed_password, user_credential, beside=tables.send_as)
DOMAIN_GATEWAY: Final = SealedColumn(
    tables.domain_gateway,
    tables.domain_gateway.c.sealed_password,
    lambda row: _credential(f"domain-gateway:{row.id}", "", row),
)
DKIM: Final = SealedColumn(tables.domain, tables.domain.c.dkim_sealed_key, lambda row: signing_key(row.name))
HEAD: Final = SealedColumn(tables.organisation, tables.organisation.c.audit_head, lambda _: AUDIT_HEAD)
TRAIL_KEY: Final = SealedColumn(tables.organisation, tables.organisation.c.audit_key, lambda _: AUDIT_KEY)

ANCHOR: Final = SealedColumn(tables.organisation, tables.organisation.c.audit_anchor, lambda _: AUDIT_ANCHOR)

SECOND_FACTOR: Final = SealedColumn(
    tables.second_factor, tables.second_factor.c.sealed_secret, lambda row: second_factor(row.account_id)
)

SEALED: Final = (GATEWAY, DOMAIN_GATEWAY, DKIM, HEAD, TRAIL_KEY, ANCHOR, SECOND_FACTOR)


def count_by_key(connection: Connection) -> dict[str, int]:
    """How many values each key has sealed, by key id. A key that is not in it may be removed."""
    return dict(Counter(key_id_of(column.value(row)) for column in SEALED for row in column.rows(connection)))
