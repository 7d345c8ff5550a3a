"""What an administrator wants done with a recipient that waits: returned, or sent by another way."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recipient", sa.Column("instruction", sa.Text()))
