"""The first schema: directory, send-as, queue and record."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# As it was when this migration was written: a migration never imports store.tables, which goes on changing.
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _directory()
    _sendas()
    _queue()
    _record()


def _directory() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("directory_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organisation"),
    )
    op.create_table(
        "domain",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("dkim_selector", sa.Text()),
        sa.Column("dkim_sealed_key", sa.LargeBinary()),
        sa.Column("dkim_public_key", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_domain"),
        sa.UniqueConstraint("name", name="uq_domain_name"),
    )
    op.create_table(
        "unit",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("parent_id", Key),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unit"),
        sa.ForeignKeyConstraint(["parent_id"], ["unit.id"], name="fk_unit_parent_id_unit"),
        sa.UniqueConstraint("path", name="uq_unit_path"),
    )
    op.create_table(
        "policy",
        sa.Column("unit_id", Key, nullable=False),
        sa.Column("setting", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("unit_id", "setting", name="pk_policy"),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_policy_unit_id_unit", ondelete="CASCADE"),
    )
    op.create_table(
        "account",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("primary_address", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit_id", Key, nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("scram_sha_256", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_account_unit_id_unit"),
        sa.UniqueConstraint("primary_address", name="uq_account_primary_address"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "domain_gateway",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("security", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("sealed_password", sa.LargeBinary()),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_domain_gateway"),
    )


def _sendas() -> None:
    op.create_table(
        "send_as",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("treat_as_alias", sa.Boolean(), nullable=False),
        sa.Column("verified_at", sa.Double()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_send_as"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_send_as_account_id_account", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("account_id", "address", name="uq_send_as_account_id"),
    )
    op.create_table(
        "verification",
        sa.Column("send_as_id", Key, nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("send_as_id", name="pk_verification"),
        sa.ForeignKeyConstraint(
            ["send_as_id"], ["send_as.id"], name="fk_verification_send_as_id_send_as", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "code_sent",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_code_sent"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_code_sent_account_id_account", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_code_sent_account", "code_sent", ["account_id"])
    op.create_table(
        "gateway",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("send_as_id", Key, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("security", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("sealed_password", sa.LargeBinary()),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateway"),
        sa.ForeignKeyConstraint(
            ["send_as_id"], ["send_as.id"], name="fk_gateway_send_as_id_send_as", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("send_as_id", name="uq_gateway_send_as_id"),
    )


def _queue() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger()),
        sa.Column("chosen_from", sa.Text(), nullable=False),
        sa.Column("reverse_path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("header_size", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("eight_bit", sa.Boolean(), nullable=False),
        sa.Column("smtputf8", sa.Boolean(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("envid", sa.Text()),
        sa.Column("ret", sa.Text()),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
    )
    op.create_table(
        "chunk",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "number", name="pk_chunk"),
    )
    op.create_table(
        "recipient",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("orcpt", sa.Text()),
        sa.Column("notify", sa.Text()),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("leased_until", sa.Double(), nullable=False),
        sa.Column("leased_by", sa.Text()),
        sa.Column("last_reply", sa.Text()),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "number", name="pk_recipient"),
    )
    op.create_index("ix_recipient_due", "recipient", ["held", "due_at"])
    op.create_index("ix_recipient_queue", "recipient", ["queue"])


def _record() -> None:
    op.create_table(
        "fact",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fact"),
    )
    op.create_index("ix_fact_message", "fact", ["message_id"])
    op.create_index("ix_fact_at", "fact", ["at"])
