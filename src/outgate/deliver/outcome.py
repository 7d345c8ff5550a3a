"""What became of a recipient, judged by the peer's replies. Pure; outcomes are data, exceptions are for bugs."""

from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from typing import Final

from outgate.frozen import frozen
from outgate.mail.report_text import Action
from outgate.smtp import Reply, TransactionResult


class Verdict(StrEnum):
    """Judged by the first digit of the reply that decided."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"


@frozen
class Outcome:
    """The verdict with its reason: the peer's reply, or our own words with an enhanced status code before them.

    `public` is what the sender is told where the reason would tell of a network that is not his (docs/egress.md).
    `peer` is whose word it is, where several hosts were asked; `reply` is the peer's, without one the reason is ours.
    `success` is what a report says of who was delivered; None if the peer sends such reports itself.
    `again` is when to try again, whatever the schedule says (seconds since the epoch; infinite: when something is done
    about it). `untried`: nothing was attempted. `told`: the sender hears of it otherwise. `queue_until`: the peer wants
    nothing more of this queue before then.
    """

    verdict: Verdict
    reason: str
    public: str = ""
    peer: str = ""
    reply: Reply | None = field(default=None, compare=False, repr=False)
    success: Action | None = field(default=None, compare=False, repr=False)
    again: float | None = field(default=None, compare=False)
    untried: bool = field(default=False, compare=False)
    told: bool = field(default=False, compare=False)
    queue_until: float | None = field(default=None, compare=False)

    def told_by(self, peer: str, success: Action | None) -> "Outcome":
        """The same as this peer's word. (dataclasses.replace takes twice as long, and each message has one.)"""
        again, until = self.again, self.queue_until
        return Outcome(
            self.verdict, self.reason, self.public, peer, self.reply, success, again, self.untried, self.told, until
        )

    @property
    def status(self) -> str:
        """The RFC 3463 code: the one that the peer gave, or what its reply means at least; else our own."""
        if self.reply is None:
            return self.reason.partition(" ")[0]
        return self.reply.enhanced or f"{self.reply.code // 100}.0.0"

    @property
    def is_of_peer(self) -> bool:
        """Whether a peer has said it, or failed to; what we say by ourselves may quote the message."""
        return self.reply is not None or bool(self.peer)

    @property
    def is_of_log_in(self) -> bool:
        """Whether our log-in was refused, at log-in or afterwards."""
        if self.reply is None:
            return self.reason.startswith("4.7.8 ")
        return self.reply.code in _OF_LOG_IN

    @property
    def tells_of_log_in(self) -> bool:
        """Whether its words speak of our log-in, or quote what was said to that: they may name the user."""
        return self.is_of_log_in or (self.reply is None and _LOG_IN in self.reason)

    @property
    def refuses_credential(self) -> bool:
        """Whether the peer has said that our credential is not good, and not only that it can't tell just now."""
        if self.reply is None:
            return self.reason.startswith("4.7.8 ") and CREDENTIAL_REFUSED in self.reason
        return self.reply.code == 535

    @property
    def is_unreached(self) -> bool:
        """Whether there was nobody to connect to, which is all that a sender is told of it."""
        return self.reply is None and bool(self.public)

    @property
    def is_of_load(self) -> bool:
        """Whether the peer says that it gets too much just now."""
        if self.reply is None or self.verdict is not Verdict.RETRY:
            return self.queue_until is not None
        return self.reply.code == 421 or self.reply.enhanced in _OF_LOAD

    @property
    def suspends(self) -> bool:
        """Whether its gateway is out of use because of it until somebody repairs that: it was tried, and is told
        otherwise, or waits for the repair.
        """
        return not self.untried and (self.told or (self.refuses_credential and self.again is not None))

    @property
    def is_of_tls(self) -> bool:
        """Whether there is no secure connection."""
        return self.reply is None and self.reason.startswith(("4.7.4 ", "4.7.5 ", "4.7.10 "))


_LOG_IN: Final = ": log-in "  # refused, put off or failed
CREDENTIAL_REFUSED: Final = ": log-in refused: "  # what a connection's reason has after the peer's name

# All that a message's senders, and so its record, are told of a log-in that is not theirs.
COMMON_LOG_IN: Final = "4.7.8 the log-in at the server that your administrator has set does not work now"

INTERNAL: Final = Outcome(Verdict.RETRY, "4.3.0 internal error; the server's log has the details")
WEDGED: Final = Outcome(
    Verdict.RETRY, "4.4.7 no step for longer than all deadlines, so it was broken off; the server's log has the details"
)
NO_STORE: Final = Outcome(Verdict.RETRY, "4.3.0 the database can't be read just now")
# What was broken off because its way no longer holds: it is no outcome, and leaves at once by the right one.
RECALLED: Final = Outcome(Verdict.RETRY, "4.3.0 the way that was taken no longer holds")


# System not accepting, congestion, delivery time (RFC 3463 sections 3.4 and 3.5), rate (RFC 7372 and usage).
_OF_LOAD = frozenset({"4.3.2", "4.4.5", "4.7.28", "4.7.650"})
# Replies that speak of our log-in, not of the message: it waits, where there is a log-in that somebody can repair.
_OF_LOG_IN = frozenset({530, 534, 535, 538})
# 552 at RCPT stands for 452 with old servers (RFC 5321 section 4.5.3.1.10).
_OF_LIMITS = frozenset({552})
_NONE: frozenset[int] = frozenset()
_UNANSWERED = Outcome(Verdict.RETRY, "4.4.2 the peer did not answer to the content")
_NOT_SENT = Outcome(Verdict.RETRY, "4.5.0 the peer answered to content that it was not sent whole")


def judge(reply: Reply, waits: frozenset[int] = _NONE) -> Outcome:
    """The outcome that one reply means; `waits` has codes of 5xx that are not final."""
    if reply.code // 100 == 2:
        verdict = Verdict.DELIVERED
    elif reply.code // 100 == 5 and reply.code not in waits:
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.RETRY
    return Outcome(verdict, text_of(reply), reply=reply)


def text_of(reply: Reply) -> str:
    """A reply in one line, as it goes into the record and the delivery report."""
    words = " ".join(reply.lines)
    return " ".join([part for part in (str(reply.code), reply.enhanced, words) if part])


def outcomes(
    result: TransactionResult, count: int, *, logs_in: bool, lmtp: bool = False, broken: Outcome | None = None
) -> list[Outcome]:
    """One outcome for each of the `count` recipients of a transaction. `logs_in` says whether the connection has a
    log-in; `broken` is the outcome of those that the peer did not answer for before the connection broke.
    """
    waits = _OF_LOG_IN if logs_in else _NONE
    if not result.mail.positive:
        return [judge(result.mail, waits)] * count
    final = iter(result.final)
    last: Reply | None = None
    found = []
    for reply in result.recipients:
        if not reply.positive:
            found.append(judge(reply, waits | _OF_LIMITS))
            continue
        # LMTP answers for each recipient, SMTP once for all.
        last = next(final, None if broken and lmtp else last)
        found.append(broken if broken and last is None else _judge_content(last, result, waits))
    return found + [broken or _UNANSWERED] * (count - len(found))


def _judge_content(reply: Reply | None, result: TransactionResult, waits: frozenset[int]) -> Outcome:
    """Nothing is delivered whose content was not handed out whole, whatever the peer says."""
    if reply is None:
        return _UNANSWERED
    outcome = judge(reply, waits)
    return _NOT_SENT if outcome.verdict is Verdict.DELIVERED and not result.content_complete else outcome


def last_word(result: TransactionResult) -> str:
    """The peer's last word, for the record of the attempt."""
    return text_of(_last(result.final) or _last(result.recipients) or result.mail)


def _last(replies: Sequence[Reply]) -> Reply | None:
    return replies[-1] if replies else None
