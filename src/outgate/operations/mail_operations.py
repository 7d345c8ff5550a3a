"""Operations on mail itself: sending as a user."""

from collections.abc import Sequence

from outgate.directory.privileges import Privilege
from outgate.operations import targets
from outgate.operations.operation import OperationContext, operation
from outgate.queue import AddChunk, Put
from outgate.queue.queue_id import to_text
from outgate.store.batch import apply


@operation("mail.send", Privilege.MAIL_SEND, of=targets.user, own=True)
def send(op: OperationContext, user: str, pieces: Sequence[AddChunk], put: Put) -> None:
    """Send a message as a user."""
    op.note(message=to_text(put.message.id), sender=put.message.chosen_from)
    apply(op.connection, [*pieces, put])
