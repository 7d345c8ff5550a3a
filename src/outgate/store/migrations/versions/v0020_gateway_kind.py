"""Gateways that take mail by a provider's interface over HTTPS."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("gateway", sa.Column("kind", sa.Text(), server_default="smtp", nullable=False))
