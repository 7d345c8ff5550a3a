"""Writing on the pages: drafts with their files, what was sent with its copy; an index of what leaves later."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _index_where("ix_message_not_before", "message", "not_before", "not_before IS NOT NULL")
    op.create_table(
        "draft",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("cc", sa.Text(), nullable=False),
        sa.Column("bcc", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("in_reply_to", sa.Text(), nullable=False),
        sa.Column("references", sa.Text(), nullable=False),
        sa.Column("sent_as", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_draft_account_id_account", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_draft"),
    )
    op.create_index("ix_draft_account_id", "draft", ["account_id", "id"])
    op.create_index("ix_draft_sent_as", "draft", ["sent_as"])
    op.create_table(
        "draft_file",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("draft_id", Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["draft_id"], ["draft.id"], name="fk_draft_file_draft_id_draft", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_draft_file"),
    )
    op.create_index("ix_draft_file_draft_id", "draft_file", ["draft_id"])
    op.create_table(
        "sent_message",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("rfc822_message_id", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("file_at", sa.Double(), nullable=False),
        sa.Column("not_filed", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_sent_message_account_id_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", name="pk_sent_message"),
    )
    op.create_index("ix_sent_message_account_id", "sent_message", ["account_id", "message_id"])
    _index_where("ix_sent_message_file_at", "sent_message", "file_at", "raw IS NOT NULL")
    _index_where("ix_sent_message_open", "sent_message", "account_id", "is_open")


def _index_where(name: str, table: str, column: str, condition: str) -> None:
    text = sa.text(condition)
    op.create_index(name, table, [column], sqlite_where=text, postgresql_where=text)
