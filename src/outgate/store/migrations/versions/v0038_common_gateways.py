"""Gateways that are common to all whom an address was granted to."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "common_gateway",
        sa.Column("grant_id", Key, autoincrement=False, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("security", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("sealed_password", sa.LargeBinary()),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id", name="pk_common_gateway"),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["address_grant.id"], name="fk_common_gateway_grant_id_address_grant", ondelete="CASCADE"
        ),
    )
    _add_reference()
    op.create_index("ix_send_as_grant_id", "send_as", ["grant_id"])
    # Each entry follows from the grant that is nearest: the user's own, else that of a group, else
    # that of the unit deepest down.
    op.execute(_NEAREST)


def _add_reference() -> None:
    name = "fk_send_as_grant_id_address_grant"
    reference = sa.ForeignKey("address_grant.id", name=name, ondelete="SET NULL")
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"ALTER TABLE send_as ADD COLUMN grant_id INTEGER CONSTRAINT {name}"
            " REFERENCES address_grant (id) ON DELETE SET NULL"
        )
    else:
        op.add_column("send_as", sa.Column("grant_id", Key, reference, nullable=True))


_NEAREST = """
UPDATE send_as SET grant_id = (
    SELECT address_grant.id
    FROM address_grant
    JOIN account ON account.id = send_as.account_id
    JOIN unit AS mine ON mine.id = account.unit_id
    LEFT JOIN unit AS theirs ON theirs.id = address_grant.unit_id
    WHERE address_grant.address = send_as.address
    AND (
        address_grant.account_id = send_as.account_id
        OR address_grant.group_id IN (SELECT group_id FROM group_member WHERE account_id = send_as.account_id)
        OR theirs.path = '/'
        OR theirs.path = mine.path
        OR substr(mine.path, 1, length(theirs.path) + 1) = theirs.path || '/'
    )
    ORDER BY
        CASE WHEN address_grant.account_id IS NOT NULL THEN 0 WHEN address_grant.group_id IS NOT NULL THEN 1 ELSE 2 END,
        length(theirs.path) DESC,
        address_grant.id DESC
    LIMIT 1
)
WHERE proof = 'domain'
"""
