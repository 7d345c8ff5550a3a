"""Claims go by queue: one index for that; and the names of users' gateways in their short form."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_recipient_due", "recipient")
    op.drop_index("ix_recipient_queue", "recipient")
    op.create_index("ix_recipient_queue", "recipient", ["queue", "held", "due_at"])
    op.execute("UPDATE recipient SET queue = substr(queue, 9) WHERE queue LIKE 'gateway:gateway:%'")
    # Leases ran by wall time. Nobody holds any: the server is stopped while this runs.
    op.execute("UPDATE recipient SET leased_by = NULL, leased_until = 0")
