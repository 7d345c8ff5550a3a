"""Operations on mail itself: sending as a user."""

from collections.abc import Sequence

from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.context import OperationContext
from outgate.operations.operation import operation
from outgate.queue import Put, changes
from outgate.queue.changes import Change
from outgate.queue.queue_id import to_text


@operation("mail.send", Privilege.MAIL_SEND, targets.user("user"), own=True, services=("pieces", "put"))
def send(op: OperationContext, user: str, pieces: Sequence[Change], put: Put) -> None:
    """Send a message as a user."""
    op.note(message=to_text(put.message.id), sender=put.message.chosen_from)
    changes.apply(op.connection, [*pieces, put])
