"""When mail for a destination is tried again."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    changes = ("retry_first", "retry_factor", "retry_longest", "delay_report_after", "give_up_after")
    op.create_table(
        "retry_schedule",
        sa.Column("destination", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Double()) for name in changes),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("until", sa.Double()),
    )
