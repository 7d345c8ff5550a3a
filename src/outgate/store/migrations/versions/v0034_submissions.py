"""What programs upload, and what they have submitted of it."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "upload",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_upload_account_id_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_upload"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_upload_account_id", "upload", ["account_id"])
    op.create_index("ix_upload_ends_at", "upload", ["ends_at"])
    op.create_table(
        "upload_content",
        sa.Column("upload_id", Key, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name="fk_upload_content_upload_id_upload", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", name="pk_upload_content"),
    )
    op.create_table(
        "uploaded_message",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("upload_id", Key, nullable=False),
        sa.Column("folders", sa.Text(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_uploaded_message_account_id_account", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name="fk_uploaded_message_upload_id_upload", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_uploaded_message"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_uploaded_message_account_id", "uploaded_message", ["account_id"])
    op.create_index("ix_uploaded_message_upload_id", "uploaded_message", ["upload_id"])
    op.create_table(
        "email_submission",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("uploaded_message_id", sa.BigInteger(), nullable=False),
        sa.Column("reverse_path", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("send_at", sa.Double(), nullable=False),
        sa.Column("canceled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_email_submission_account_id_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", name="pk_email_submission"),
    )
    op.create_index("ix_email_submission_account_id", "email_submission", ["account_id", "message_id"])
    op.create_index("ix_email_submission_send_at", "email_submission", ["send_at"])
