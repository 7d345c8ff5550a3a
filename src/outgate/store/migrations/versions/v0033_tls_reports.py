"""How TLS sessions with recipients' domains came out, and the reports about them."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tls_policy",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("policy_domain", sa.Text(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("mx", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", "domain", "policy", name="pk_tls_policy"),
    )
    op.create_table(
        "tls_session",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("exchanger", sa.Text(), nullable=False),
        sa.Column("receiving_address", sa.Text(), nullable=False),
        sa.Column("sending_address", sa.Text(), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("day", "domain", "policy", "result", "reason", "exchanger", "receiving_address", "sending_address"),
            name="pk_tls_session",
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tls_report",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double()),
        sa.Column("tried_until", sa.Double(), nullable=False),
        sa.Column("leased_until", sa.Double(), nullable=False),
        sa.Column("leased_by", sa.Text()),
        sa.PrimaryKeyConstraint("day", "domain", name="pk_tls_report"),
    )
    waits = sa.text("due_at IS NOT NULL")
    op.create_index("ix_tls_report_due_at", "tls_report", ["due_at"], sqlite_where=waits, postgresql_where=waits)
