"""The doors: networks of users, a key for the audit trail, and seals of gateways that name whose they are.

What is sealed anew is sealed here, in the migration's transaction, so that no row is left with a seal of the old kind.
"""

import sqlalchemy as sa
from alembic import op

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
