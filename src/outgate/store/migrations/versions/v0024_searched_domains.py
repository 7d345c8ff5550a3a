"""Messages are found by a domain in one range of the index, in their order."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "INSERT INTO search_key (role, domain, name, message_id)"
        " SELECT DISTINCT role, domain, '', message_id FROM search_key WHERE role IN ('s', 'r') ON CONFLICT DO NOTHING"
    )
