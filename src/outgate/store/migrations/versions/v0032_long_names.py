"""Names of users are cut to what a name may have where 0021 had been at work before it did that."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE account SET name = substr(name, 1, 255) WHERE length(name) > 255")
