"""Whole domains proven by the DNS, and addresses granted to users and units."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "proven_domain",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("proven_at", sa.Double()),
        sa.Column("checked_at", sa.Double()),
        sa.Column("missing_since", sa.Double()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_proven_domain"),
        sa.UniqueConstraint("name", name="uq_proven_domain_name"),
    )
    op.create_table(
        "address_grant",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("account_id", Key),
        sa.Column("unit_id", Key),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_address_grant"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_address_grant_account_id_account", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_address_grant_unit_id_unit", ondelete="CASCADE"),
    )
    op.create_index("ix_address_grant_address", "address_grant", ["address"])
    # Nobody has proven a whole domain by mail to an address that looks like one.
    op.execute("UPDATE send_as SET verified_at = NULL, proof = NULL WHERE address LIKE '*@%'")
