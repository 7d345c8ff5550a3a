"""Common gateways that an administrator has signed in to: a consent is of a user's gateway or of a common one."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("common_gateway", sa.Column("provider", sa.Text(), server_default="", nullable=False))
    op.add_column("common_gateway", sa.Column("kind", sa.Text(), server_default="smtp", nullable=False))
    # Nothing refers to this table, so SQLite may copy it.
    with op.batch_alter_table("oauth_grant") as table:
        table.alter_column("gateway_id", existing_type=Key, nullable=True)
        table.add_column(sa.Column("common_grant_id", Key))
        table.create_foreign_key(
            "fk_oauth_grant_common_grant_id_common_gateway",
            "common_gateway",
            ["common_grant_id"],
            ["grant_id"],
            ondelete="CASCADE",
        )
        table.create_unique_constraint("uq_oauth_grant_common_grant_id", ["common_grant_id"])
