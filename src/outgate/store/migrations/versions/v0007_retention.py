"""Retention: the audit trail may begin later than with its first entry; indexes for addresses and counts by queue.

A message's column `automatic` goes: no decision depends on it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_send_as_address", "send_as", ["address"])
    op.drop_index("ix_recipient_queue", "recipient")
    op.create_index("ix_recipient_queue", "recipient", ["queue", "held", "due_at", "message_id"])
    op.drop_column("message", "automatic")
    op.add_column("organisation", sa.Column("audit_anchor", sa.LargeBinary()))
    op.add_column("organisation", sa.Column("audit_let_go", sa.BigInteger(), server_default="0", nullable=False))
    if op.get_bind().dialect.name == "postgresql":
        _let_go_on_postgresql()
    else:
        _let_go_on_sqlite()


def _let_go_on_postgresql() -> None:
    op.execute("DROP TRIGGER IF EXISTS audit_is_append_only ON audit")
    op.execute(
        "CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR TRUNCATE ON audit EXECUTE FUNCTION audit_is_append_only()"
    )
    op.execute(
        "CREATE FUNCTION audit_keeps_its_entries() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF OLD.id > (SELECT coalesce(max(audit_let_go), 0) FROM organisation)"
        " THEN RAISE EXCEPTION 'the audit trail is append-only'; END IF; RETURN OLD; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_keeps_its_entries BEFORE DELETE ON audit"
        " FOR EACH ROW EXECUTE FUNCTION audit_keeps_its_entries()"
    )


def _let_go_on_sqlite() -> None:
    op.execute("DROP TRIGGER IF EXISTS audit_no_delete")
    op.execute(
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit"
        " WHEN OLD.id > (SELECT coalesce(max(audit_let_go), 0) FROM organisation)"
        " BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
    )
