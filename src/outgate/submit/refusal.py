"""Why a message is not taken, as a value: each face says it in its own words. Knows no SMTP engine and no HTTP."""

from enum import StrEnum

from outgate.frozen import frozen
from outgate.model import Phrase


class RefusalReason(StrEnum):
    """What is the matter, for callers that don't speak SMTP."""

    MALFORMED = "malformed"  # message or envelope break the rules of RFC 5321, 5322
    TOO_LARGE = "too_large"  # the message, or its header
    LOOP = "loop"  # it was here before
    TOO_MANY = "too_many"  # messages or recipients, in one message, an hour or a day
    NOT_AUTHORISED = "not_authorised"  # not an address of this account, or the account is suspended
    POLICY = "policy"  # of the account's unit: by this way, or to this recipient
    ATTACHMENT = "attachment"  # one that policy does not let out
    UNAVAILABLE = "unavailable"  # nothing is wrong with the message; the store can't take it now


@frozen
class Refusal:
    """The answer to a message that is not taken; `words` are for the submitter.

    `code` is the three digits of an SMTP reply (4xx: the same message may be taken later), `status` an RFC 3463 code.
    """

    reason: RefusalReason
    code: int
    status: str
    words: str | Phrase

    @property
    def text(self) -> str:
        """The words in full."""
        return str(self.words)

    def __str__(self) -> str:
        return f"{self.code} {self.status} {self.text}"
