"""Gateways that users log in to by OAuth: their tokens, and clients that were registered for them."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("gateway", sa.Column("provider", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "oauth_grant",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("gateway_id", Key, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("sealed_refresh_token", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_access_token", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("granted_at", sa.Double(), nullable=False),
        sa.Column("refreshed_at", sa.Double(), nullable=False),
        sa.Column("retry_at", sa.Double(), server_default="0", nullable=False),
        sa.Column("refused", sa.Text()),
        sa.Column("leased_until", sa.Double(), server_default="0", nullable=False),
        sa.Column("leased_by", sa.Text()),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name="fk_oauth_grant_gateway_id_gateway", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_grant"),
        sa.UniqueConstraint("gateway_id", name="uq_oauth_grant_gateway_id"),
    )
    op.create_index("ix_oauth_grant_refreshed_at", "oauth_grant", ["refreshed_at"])
    op.create_table(
        "oauth_client",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary()),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_client"),
        sa.UniqueConstraint("provider", "redirect_uri", name="uq_oauth_client_provider"),
    )
