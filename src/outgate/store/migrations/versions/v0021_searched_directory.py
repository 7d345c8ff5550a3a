"""Searches of users and addresses look at an index alone: all that they ask for is in it."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_account_search", "account", ["primary_address", "name", "unit_id", "suspended"])
    op.drop_index("ix_send_as_address", "send_as")
    op.create_index("ix_send_as_search", "send_as", ["address", "account_id", "is_primary", "verified_at"])
    condition = sa.text("username != '' AND sealed_password IS NULL")
    op.create_index(
        "ix_gateway_without_password", "gateway", ["id"], sqlite_where=condition, postgresql_where=condition
    )
