"""Recipients: whether the sender was told that it takes longer."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recipient", sa.Column("delay_told", sa.Boolean(), server_default=sa.false(), nullable=False))
