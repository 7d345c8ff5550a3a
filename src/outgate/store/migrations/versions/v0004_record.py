"""The record: what messages are searched by has a table and indexes of its own, also for those recorded before."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BATCH = 5000  # rows of `fact` in memory at once
_FIRST = "kind IN ('accepted', 'refused')"


def upgrade() -> None:
    op.create_table(
        "search_key",
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("role", "domain", "name", "message_id", name="pk_search_key"),
        sqlite_with_rowid=False,
    )
    op.drop_index("ix_fact_at", "fact")
    _create_index("ix_fact_first", "at", _FIRST)
    _create_index("ix_fact_refused", "at", "kind = 'refused'")
    _create_index("ix_fact_bounced", "message_id", "kind = 'bounced'")
    _fill()


def _create_index(name: str, column: str, condition: str) -> None:
    op.create_index(name, "fact", [column], sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def _fill() -> None:
    connection = op.get_bind()
    insert = sa.text(
        "INSERT INTO search_key (role, domain, name, message_id) VALUES (:role, :domain, :name, :message_id)"
        " ON CONFLICT DO NOTHING"
    )
    after = 0
    while True:
        rows = connection.execute(
            sa.text(f"SELECT id, message_id, detail FROM fact WHERE id > :after AND {_FIRST} ORDER BY id LIMIT :batch"),  # noqa: S608 -- a constant
            {"after": after, "batch": _BATCH},
        ).all()
        if not rows:
            return
        after = rows[-1].id
        if keys := [key for row in rows for key in _keys(row.message_id, json.loads(row.detail))]:
            connection.execute(insert, keys)


def _keys(message_id: int, detail: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """As record.message_log makes them at this release."""
    senders = {one for one in (*detail["from"], detail["mail_from"], detail["account"]) if "@" in one}
    found = [("s", one.lower()) for one in senders] + [("r", one.lower()) for one in detail["recipients"]]
    if written := detail["message_id"].strip().strip("<>"):
        found.append(("i", written))
    for role, text in found:
        name, _, domain = _printable(text).rpartition("@")
        yield {"role": role, "domain": _a_labels(domain)[:255], "name": name[:255], "message_id": message_id}


def _a_labels(domain: str) -> str:
    try:
        return domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
