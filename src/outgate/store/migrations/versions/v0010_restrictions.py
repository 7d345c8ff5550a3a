"""Restrictions: what holds mail of a queue back, or slows it down."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "restriction",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("connections", sa.Integer()),
        sa.Column("rates", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("until", sa.Double()),
        sa.Column("credential_version", sa.BigInteger()),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "cause", name="pk_restriction"),
    )
    op.add_column("organisation", sa.Column("queue_version", sa.BigInteger(), server_default="1", nullable=False))
