"""By what each log-in on the pages was opened."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("web_session", sa.Column("opened_by", sa.Text(), server_default="password", nullable=False))
