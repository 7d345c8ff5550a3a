"""Outbound gateways of single domains, and several hosts of each."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("domain", "fallbacks"):
        op.add_column("domain_gateway", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_domain_gateway_domain", "domain_gateway", ["domain"], unique=True)
