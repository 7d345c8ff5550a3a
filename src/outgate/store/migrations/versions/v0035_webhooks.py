"""Webhooks: endpoints that are told of events, what waits for them, and what came of each try."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", sa.Text(), nullable=False),
        sa.Column("unit_id", Key),
        sa.Column("account_id", Key),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_former_secret", sa.LargeBinary()),
        sa.Column("former_until", sa.Double()),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("stopped_at", sa.Double()),
        sa.Column("stop_cause", sa.Text(), nullable=False),
        sa.Column("stop_detail", sa.Text(), nullable=False),
        sa.Column("stop_to_tell", sa.Boolean(), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.Double()),
        sa.Column("paused_until", sa.Double(), nullable=False),
        sa.Column("leased_until", sa.Double(), nullable=False),
        sa.Column("leased_by", sa.Text()),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_webhook_unit_id_unit", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_webhook_account_id_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook"),
        sa.UniqueConstraint("name", name="uq_webhook_name"),
    )
    op.create_index("ix_webhook_unit_id", "webhook", ["unit_id"])
    op.create_index("ix_webhook_account_id", "webhook", ["account_id"])
    op.create_table(
        "webhook_event",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("webhook_id", Key, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        _of_webhook("webhook_event"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_event"),
        sa.UniqueConstraint("webhook_id", "event_id", name="uq_webhook_event_webhook_id"),
    )
    op.create_index("ix_webhook_event_due", "webhook_event", ["webhook_id", "due_at"])
    op.create_table(
        "webhook_try",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("webhook_id", Key, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("next_at", sa.Double()),
        _of_webhook("webhook_try"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_try"),
    )
    op.create_index("ix_webhook_try_webhook_id", "webhook_try", ["webhook_id", "id"])
    op.create_index("ix_webhook_try_at", "webhook_try", ["at"])
    op.create_table(
        "webhook_suspension",
        sa.Column("webhook_id", Key, nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        _of_webhook("webhook_suspension"),
        sa.PrimaryKeyConstraint("webhook_id", "queue", name="pk_webhook_suspension"),
    )


def _of_webhook(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["webhook_id"], ["webhook.id"], name=f"fk_{table}_webhook_id_webhook", ondelete="CASCADE"
    )
