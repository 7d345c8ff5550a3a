"""The API: service accounts with their keys and grants, tokens, and answers to requests that may be repeated."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "service_account",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_account"),
        sa.UniqueConstraint("name", name="uq_service_account_name"),
        sa.UniqueConstraint("email", name="uq_service_account_email"),
        sa.UniqueConstraint("client_id", name="uq_service_account_client_id"),
    )
    op.create_table(
        "service_account_key",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("service_account_id", Key, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_account_id"],
            ["service_account.id"],
            name="fk_service_account_key_service_account_id_service_account",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_service_account_key"),
        sa.UniqueConstraint("key_id", name="uq_service_account_key_key_id"),
    )
    op.create_index("ix_service_account_key_service_account_id", "service_account_key", ["service_account_id"])
    op.create_table(
        "delegation",
        sa.Column("service_account_id", Key, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["service_account_id"],
            ["service_account.id"],
            name="fk_delegation_service_account_id_service_account",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("service_account_id", "scope", name="pk_delegation"),
    )
    op.create_table(
        "access_token",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("key_id", Key),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_access_token_account_id_account", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["key_id"],
            ["service_account_key.id"],
            name="fk_access_token_key_id_service_account_key",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_access_token"),
        sa.UniqueConstraint("digest", name="uq_access_token_digest"),
    )
    op.create_index("ix_access_token_account_id", "access_token", ["account_id"])
    op.create_index("ix_access_token_key_id", "access_token", ["key_id"])
    op.create_table(
        "answered_request",
        sa.Column("account_id", Key, nullable=False),
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_answered_request_account_id_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "key_digest", name="pk_answered_request"),
    )
    op.create_index("ix_answered_request_at", "answered_request", ["at"])
