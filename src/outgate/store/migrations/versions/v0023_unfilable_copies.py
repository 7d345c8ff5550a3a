"""Why a copy can't be filed where no mailbox is read is a word of its own, in the place of a sentence."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sent_message = sa.table("sent_message", sa.column("not_filed", sa.Text()))
    former = sent_message.c.not_filed == "there is no Sent folder here"
    op.execute(sent_message.update().where(former).values(not_filed="no-mailbox"))
