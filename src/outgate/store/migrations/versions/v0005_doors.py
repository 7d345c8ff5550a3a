"""The doors: networks of users, a key for the audit trail, and seals of gateways that name whose they are.

What is sealed anew is sealed here, in the migration's transaction, so that no row is left with a seal of the old kind.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from outgate.store.engine import StoreError
from outgate.store.vault import SealBroken, Vault

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "known_network",
        sa.Column("account_id", Key, nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_known_network_account_id_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "network", name="pk_known_network"),
    )
    op.add_column("organisation", sa.Column("audit_key", sa.LargeBinary()))
    organisation = op.get_bind().scalar(sa.text("SELECT id FROM organisation"))
    if organisation is None:
        return
    vault: Vault | None = context.config.attributes["vault"]
    op.execute("UPDATE organisation SET directory_version = directory_version + 1")  # rotation takes this lock as well
    if vault:
        _begin_trail(vault)
    _seal_anew(vault, "gateway", _OF_USERS, _of_a_user)
    _seal_anew(vault, "domain_gateway", "SELECT * FROM domain_gateway WHERE sealed_password IS NOT NULL", _of_all)


def _begin_trail(vault: Vault) -> None:
    """Rows so far stay as they are, chained without a key: the last one's hash, which holds them, is sealed with it.

    The head is left as it is too, so that a trail that was cut before shows at its next entry.
    """
    connection = op.get_bind()
    last = connection.execute(sa.text("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")).first()
    since = f"{last.id}:{bytes(last.hash).hex()}" if last else f"0:{bytes(32).hex()}"
    key = vault.seal(f"{since}:{secrets.token_hex(32)}".encode(), "audit-key")
    connection.execute(sa.text("UPDATE organisation SET audit_key = :key"), {"key": key})
    if last is None and connection.scalar(sa.text("SELECT audit_head FROM organisation")) is None:
        head = vault.seal(since.encode(), "audit-head")
        connection.execute(sa.text("UPDATE organisation SET audit_head = :head"), {"head": head})


_OF_USERS = (
    "SELECT gateway.*, send_as.account_id, send_as.address FROM gateway"
    " JOIN send_as ON send_as.id = gateway.send_as_id WHERE sealed_password IS NOT NULL"
)


def _of_a_user(row: Any) -> tuple[str, str]:
    return f"gateway:{row.id}", f"{row.account_id}:{row.address}"


def _of_all(row: Any) -> tuple[str, str]:
    return f"domain-gateway:{row.id}", ""


def _seal_anew(vault: Vault | None, table: str, rows: str, whose: Callable[[Any], tuple[str, str]]) -> None:
    """What does not open now does not open later either: its mail waits, and says so."""
    connection = op.get_bind()
    for row in connection.execute(sa.text(rows)).all():
        if vault is None:
            raise StoreError("this database has sealed passwords: bring it up to date with the keys of its server")
        name, holder = whose(row)
        before = f"{name}:v{row.credential_version}:{row.security}://{row.username}@{row.host}:{row.port}"
        place = [row.credential_version, row.security, row.host, row.port, row.username]
        try:
            password = vault.open(bytes(row.sealed_password), before)
        except SealBroken:
            continue
        sealed = vault.seal(password, json.dumps(["credential", name, holder, *place]))
        statement = sa.text(f"UPDATE {table} SET sealed_password = :sealed WHERE id = :id")  # noqa: S608 -- a constant
        connection.execute(statement, {"sealed": sealed, "id": row.id})
