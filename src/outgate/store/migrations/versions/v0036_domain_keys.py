"""A domain has several DKIM keys: some wait for their records, some sign, some are retired."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "domain_key",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("domain_id", Key, nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("signs_from", sa.Double()),
        sa.Column("retired_at", sa.Double()),
        sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["domain.id"], name="fk_domain_key_domain_id_domain", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_domain_key"),
        sa.UniqueConstraint("domain_id", "selector", name="uq_domain_key_domain_id"),
    )
    # What it is sealed for stays the same. When it began to sign is not known; the domain's own beginning is no later.
    op.execute(
        "INSERT INTO domain_key (domain_id, selector, record, sealed_key, created_at, signs_from)"
        " SELECT id, dkim_selector, dkim_public_key, dkim_sealed_key, created_at, created_at FROM domain"
        " WHERE dkim_sealed_key IS NOT NULL"
    )
    for column in ("dkim_selector", "dkim_sealed_key", "dkim_public_key"):
        op.drop_column("domain", column)
