"""When a message may leave, and what its sender demands of TLS on its way."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("not_before", sa.Double(), nullable=True))
    op.add_column("message", sa.Column("tls_demand", sa.Text(), server_default="", nullable=False))
