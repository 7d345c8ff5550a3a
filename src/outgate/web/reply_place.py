"""Where answers to what was sent as an address arrive, as far as this server knows. Pure."""

from outgate.frozen import frozen
from outgate.model import Organisation, SendAs


@frozen
class ReplyPlace:
    """`address` is whom answers are addressed to: the From address, or the reply-to that it has (`is_set`). `is_here`
    where that is in the organisation's domains, whose mail comes to mailboxes here; else its provider has it.
    """

    address: str
    is_set: bool
    is_here: bool

    @property
    def domain(self) -> str:
        """Whose servers take it."""
        return self.address.rpartition("@")[2]


def reply_place(organisation: Organisation, entry: SendAs) -> ReplyPlace:
    """Answers go to Reply-To, else to From (RFC 5322 section 3.6.2)."""
    address = entry.reply_to or entry.address
    return ReplyPlace(address, bool(entry.reply_to), address.rpartition("@")[2].lower() in organisation.domains)
