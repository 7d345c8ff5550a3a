"""What a message is searched by lies in one row until it is sorted in."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fresh_search_keys",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("found_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_fresh_search_keys"),
    )
    op.execute(
        "INSERT INTO search_key (role, domain, name, message_id)"
        " SELECT role, domain, name, message_id FROM fresh_search_key WHERE true ON CONFLICT DO NOTHING"
    )
    op.drop_table("fresh_search_key")
