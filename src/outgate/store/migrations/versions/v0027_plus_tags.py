"""Which address one with a +tag is a tag of."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_TAGGED = re.compile(r"([^\"+]*[^\"+.])\+.+@([^@]+)")


def upgrade() -> None:
    op.add_column("send_as", sa.Column("tag_of", sa.Text()))
    condition = sa.text("tag_of IS NOT NULL")
    op.create_index("ix_send_as_tag_of", "send_as", ["tag_of"], sqlite_where=condition, postgresql_where=condition)
    connection = op.get_bind()
    for row_id, address in connection.execute(
        sa.text("SELECT id, address FROM send_as WHERE address LIKE '%+%'")
    ).all():
        if match := _TAGGED.fullmatch(address):
            statement = sa.text("UPDATE send_as SET tag_of = :tag_of WHERE id = :id")
            connection.execute(statement, {"tag_of": f"{match[1]}@{match[2]}", "id": row_id})
