"""Who may do what: roles, the audit trail, application passwords, limits, and where an account comes from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _columns()
    _log_in()
    _roles()
    _limits()
    _nodes()
    _audit()


def _columns() -> None:
    op.add_column("organisation", sa.Column("policy_version", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("organisation", sa.Column("audit_head", sa.LargeBinary()))
    op.add_column("account", sa.Column("language", sa.Text(), nullable=False, server_default="en"))
    op.add_column("account", sa.Column("source", sa.Text(), nullable=False, server_default="local"))
    op.add_column("account", sa.Column("external_id", sa.Text()))
    op.add_column("account", sa.Column("external_dn", sa.Text()))
    # An index and no constraint: for that SQLite would copy the table, and dropping the old one would delete, by
    # cascade, every address of every account.
    op.create_index("ix_account_external_id", "account", ["external_id"], unique=True)
    op.add_column("send_as", sa.Column("proof", sa.Text()))
    op.execute("UPDATE send_as SET proof = 'code' WHERE verified_at IS NOT NULL AND NOT is_primary")
    op.add_column("verification", sa.Column("link_digest", sa.LargeBinary()))
    for name in ("rewrite_from", "journalled"):
        op.add_column("message", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))


def _log_in() -> None:
    op.create_table(
        "application_password",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_application_password"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_application_password_account_id_account", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("digest", name="uq_application_password_digest"),
    )
    op.create_index("ix_application_password_account_id", "application_password", ["account_id"])


def _roles() -> None:
    op.create_table(
        "role",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("privileges", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_role"),
        sa.UniqueConstraint("name", name="uq_role_name"),
    )
    op.create_table(
        "role_assignment",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("unit_id", Key, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_role_assignment"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_role_assignment_account_id_account", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_role_assignment_unit_id_unit", ondelete="CASCADE"),
        sa.UniqueConstraint("account_id", "role", "unit_id", name="uq_role_assignment_account_id"),
    )


def _limits() -> None:
    op.drop_table("code_sent")  # counted in rate_event from now on
    op.create_table(
        "rate_event",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rate_event"),
    )
    op.create_index("ix_rate_event_key", "rate_event", ["key", "at"])
    op.create_table(
        "usage",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "account_id", name="pk_usage"),
    )


def _nodes() -> None:
    op.create_table(
        "node",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_node"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
            " EXECUTE FUNCTION audit_is_append_only()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit"
            " BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
        )
