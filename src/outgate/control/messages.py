"""Operations on mail itself: sending as a user."""

from collections.abc import Sequence

from outgate.control import targets
from outgate.control.operation import Act, operation
from outgate.directory.privileges import Privilege
from outgate.queue import Put, changes
from outgate.queue.changes import Change
from outgate.queue.identity import to_text


@operation("mail.send", Privilege.MAIL_SEND, of=targets.user, own=True)
def send(act: Act, user: str, pieces: Sequence[Change], put: Put) -> None:
    """Send a message as a user."""
    act.note(message=to_text(put.message.id), sender=put.message.chosen_from)
    changes.apply(act.connection, [*pieces, put])
