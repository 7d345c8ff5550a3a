"""What became of a recipient, judged by the peer's replies. Pure; outcomes are data, exceptions are for bugs."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from outgate.smtp import Reply, TransactionResult


class Verdict(StrEnum):
    """Judged by the first digit of the reply that decided."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict with its reason: the peer's reply, or our own words with an enhanced status code before them.

    `public` is what the sender is told where the reason would tell of a network that is not his (docs/egress.md).
    """

    verdict: Verdict
    reason: str
    public: str = ""


# Replies that speak of our log-in or of a limit, not of the message: it waits. 552 at RCPT stands for 452 with old
# servers (RFC 5321 section 4.5.3.1.10).
_WAITS = frozenset({530, 534, 535, 538})
_WAITS_AT_RCPT = _WAITS | {552}


def judge(reply: Reply, waits: frozenset[int] = _WAITS) -> Outcome:
    """The outcome that one reply means."""
    if reply.code // 100 == 2:
        verdict = Verdict.DELIVERED
    elif reply.code // 100 == 5 and reply.code not in waits:
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.RETRY
    return Outcome(verdict, text_of(reply))


def text_of(reply: Reply) -> str:
    """A reply in one line, as it goes into the record and the delivery report."""
    words = " ".join(reply.lines)
    return " ".join(part for part in (str(reply.code), reply.enhanced, words) if part)


def outcomes(result: TransactionResult, count: int) -> list[Outcome]:
    """One outcome for each of the `count` recipients of a transaction that came to its end."""
    if judge(result.mail).verdict is not Verdict.DELIVERED:
        return [judge(result.mail)] * count
    final = iter(result.final)
    last: Reply | None = None
    found = []
    for reply in result.recipients:
        outcome = judge(reply, _WAITS_AT_RCPT)
        if outcome.verdict is Verdict.DELIVERED:
            last = next(final, last)  # LMTP answers for each recipient, SMTP once for all
            outcome = judge(last) if last else Outcome(Verdict.RETRY, "4.4.2 the peer did not answer to the content")
        found.append(outcome)
    return found


def last_word(result: TransactionResult) -> str:
    """The peer's last word, for the record of the attempt."""
    return text_of(_last(result.final) or _last(result.recipients) or result.mail)


def _last(replies: Sequence[Reply]) -> Reply | None:
    return replies[-1] if replies else None
