"""The one way in: every message, whoever brings it, becomes a queue entry or a refusal here.

A face (SMTP session, command, API, page) makes a Submission: account, envelope, header, content. `decision` says what
becomes of it, as a pure function; `submitter` reads for it what it needs to know, on an event loop or in a
transaction. Mail of the organisation itself (reports, confirmation codes, journal copies) is made by `own_mail`. Both
become an entry in `queue_entry`. Knows no socket, no SMTP session and no directory: who asks has the account and the
organisation.
"""

from outgate.submit.own_mail import originate, originate_pieces
from outgate.submit.refusal import Refusal, RefusalReason
from outgate.submit.submission import Content, Envelope, EnvelopeRecipient, MessageLimits, Submission
from outgate.submit.submitter import Submitter, submit
from outgate.submit.whole_message import whole_message

__all__ = [
    "Content",
    "Envelope",
    "EnvelopeRecipient",
    "MessageLimits",
    "Refusal",
    "RefusalReason",
    "Submission",
    "Submitter",
    "originate",
    "originate_pieces",
    "submit",
    "whole_message",
]
