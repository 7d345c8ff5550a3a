"""Programs that users let act for them, and what each user has let them do."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "program",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_program"),
        sa.UniqueConstraint("name", name="uq_program_name"),
        sa.UniqueConstraint("client_id", name="uq_program_client_id"),
    )
    op.create_table(
        "program_consent",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("program_id", Key, nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("family_digest", sa.LargeBinary()),
        sa.Column("refresh_digest", sa.LargeBinary()),
        sa.Column("used_at", sa.Double()),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_program_consent_account_id_account", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["program_id"], ["program.id"], name="fk_program_consent_program_id_program", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_program_consent"),
        sa.UniqueConstraint("code_digest", name="uq_program_consent_code_digest"),
        sa.UniqueConstraint("family_digest", name="uq_program_consent_family_digest"),
    )
    op.create_index("ix_program_consent_account_id", "program_consent", ["account_id"])
    op.create_index("ix_program_consent_program_id", "program_consent", ["program_id"])
