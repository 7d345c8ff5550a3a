"""What each node's watchdog had to end."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("node", sa.Column("wedged", sa.Integer(), server_default="0", nullable=False))
    op.add_column("node", sa.Column("wedged_at", sa.Double(), server_default="0", nullable=False))
