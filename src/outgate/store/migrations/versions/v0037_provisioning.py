"""Users and groups from an identity provider, and addresses granted to groups."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "scim_token",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("unit_id", Key, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name="fk_scim_token_unit_id_unit", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_scim_token"),
        sa.UniqueConstraint("name", name="uq_scim_token_name"),
        sa.UniqueConstraint("digest", name="uq_scim_token_digest"),
    )
    op.create_table(
        "provisioned_user",
        sa.Column("account_id", Key, autoincrement=False, nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("display_name", sa.Text()),
        sa.Column("given_name", sa.Text()),
        sa.Column("family_name", sa.Text()),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_provisioned_user_account_id_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_provisioned_user"),
    )
    op.create_index("ix_provisioned_user_external_id", "provisioned_user", ["external_id"])
    op.create_table(
        "user_group",
        sa.Column("id", Key, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_group"),
        sa.UniqueConstraint("name", name="uq_user_group_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "group_member",
        sa.Column("group_id", Key, nullable=False),
        sa.Column("account_id", Key, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["user_group.id"], name="fk_group_member_group_id_user_group", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_group_member_account_id_account", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "account_id", name="pk_group_member"),
    )
    op.create_index("ix_group_member_account_id", "group_member", ["account_id"])
    # Nothing refers to this table, so SQLite may copy it.
    with op.batch_alter_table("address_grant") as table:
        table.add_column(sa.Column("group_id", Key))
        table.create_foreign_key(
            "fk_address_grant_group_id_user_group", "user_group", ["group_id"], ["id"], ondelete="CASCADE"
        )
