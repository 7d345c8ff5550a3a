"""Searches of users and addresses look at an index alone: all that they ask for is in it. A name that may be too
long for one is cut to what a name may have from now on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE account SET name = substr(name, 1, 255) WHERE length(name) > 255")
    op.create_index("ix_account_search", "account", ["primary_address", "name", "unit_id", "suspended"])
    op.drop_index("ix_send_as_address", "send_as")
    op.create_index("ix_send_as_search", "send_as", ["address", "account_id", "is_primary", "verified_at"])
    condition = sa.text("username != '' AND sealed_password IS NULL")
    op.create_index(
        "ix_gateway_without_password", "gateway", ["id"], sqlite_where=condition, postgresql_where=condition
    )
