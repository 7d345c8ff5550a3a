"""What a provider's interface means by an HTTP answer. Pure: answer in, outcome out.

The codes are those of Microsoft Graph's `error.code`, and of Google's `errors[].reason` and `status`.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from outgate.deliver.mail_api import MailApi
from outgate.deliver.outcome import CREDENTIAL_REFUSED, Outcome, Verdict
from outgate.egress.https_client import Fetched
from outgate.frozen import frozen
from outgate.mail.report_text import Action
from outgate.printable import printable

PAUSE: Final = 60.0  # seconds that a provider is left alone that has too much: at least, whatever it says
LONGEST_PAUSE: Final = 86400.0  # seconds, whatever it says
_SAID: Final = 300  # characters of its own words

# `User-rate limit exceeded.  Retry after 2026-11-28T07:00:00.000Z`, as Google says it where it sends no Retry-After.
_RETRY_AFTER: Final = re.compile(r"[Rr]etry after (\d{4}-\d\d-\d\dT[\d:.]+Z)")


@frozen
class _Meaning:
    """Of a code: an enhanced status code (RFC 3463), whose first digit says whether it is final, and words."""

    status: str
    words: str


# The consent does not reach so far: only its user can mend that, as after a refused log-in.
_REFUSED: Final = frozenset(
    {
        *("ErrorAccessDenied", "Authorization_RequestDenied", "AccessDenied", "InvalidAuthenticationToken"),
        *("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "authError"),
    }
)
_OF_LOAD: Final = frozenset(
    {
        *("userRateLimitExceeded", "rateLimitExceeded", "dailyLimitExceeded", "quotaExceeded"),
        *("ErrorExceededMessageLimit", "ErrorServerBusy", "ApplicationThrottled", "MailboxConcurrency"),
    }
)
_TOO_LARGE: Final = frozenset({"ErrorMessageSizeExceeded", "RequestEntityTooLarge", "uploadTooLarge"})
_MEANINGS: Final[Mapping[str, _Meaning]] = {
    "ErrorSendAsDenied": _Meaning("5.7.1", "the account has no right to send as this From address"),
    "ErrorInvalidRecipients": _Meaning("5.1.3", "a recipient is not valid there"),
    "ErrorMimeContentInvalid": _Meaning("5.6.0", "it can't read the message"),
    "ErrorMimeContentInvalidBase64String": _Meaning("5.6.0", "it can't read the message"),
    "ErrorMessageSubmissionBlocked": _Meaning("5.7.1", "the account is blocked from sending"),
    "ErrorQuotaExceeded": _Meaning("4.2.2", "the account's mailbox is full"),
    "MailboxNotEnabledForRESTAPI": _Meaning("4.2.1", "the account's mailbox is inactive, or not in Exchange Online"),
    "MailboxNotSupportedForRESTAPI": _Meaning("4.2.1", "the account's mailbox is not in Exchange Online"),
    "failedPrecondition": _Meaning("4.2.1", "the account has no Gmail mailbox, or is suspended there"),
    "FAILED_PRECONDITION": _Meaning("4.2.1", "the account has no Gmail mailbox, or is suspended there"),
    "invalidArgument": _Meaning("5.6.0", "it does not take the message as it is"),
    "INVALID_ARGUMENT": _Meaning("5.6.0", "it does not take the message as it is"),
    "domainPolicy": _Meaning("4.7.0", "the account's administrator lets no programs use Gmail"),
    "accessNotConfigured": _Meaning("4.3.5", "the Gmail API is not switched on in the project of the OAuth client"),
    "SERVICE_DISABLED": _Meaning("4.3.5", "the Gmail API is not switched on in the project of the OAuth client"),
}
_BY_STATUS: Final[Mapping[int, _Meaning]] = {
    400: _Meaning("5.5.0", "it does not take the request"),
    403: _Meaning("4.7.0", "it forbids that"),
    404: _Meaning("4.2.1", "there is no such mailbox"),
    415: _Meaning("5.6.1", "it does not take this kind of content"),
}


def judged(api: MailApi, answer: Fetched, peer: str, size: int, now: float) -> Outcome:
    """The outcome for a message of `size` bytes that was posted to `peer`."""
    status, code, said = answer.status, *_error(answer.content)
    if status == api.accepted:
        told = f"2.0.0 {status} {api.receipt(answer)}".rstrip()
        return Outcome(Verdict.DELIVERED, told, peer=peer, success=Action.RELAYED)
    told = " ".join(part for part in (str(status), f"{code}:" if said else code, said) if part)
    if status == 401 or code in _REFUSED:
        # As of an SMTP server's 535: what follows is the same.
        return Outcome(Verdict.RETRY, f"4.7.8 {peer}{CREDENTIAL_REFUSED}{told}", peer=peer)
    if status == 413 or code in _TOO_LARGE:
        return Outcome(Verdict.FAILED, f"5.3.4 {peer} does not take a message of {size} bytes ({told})", peer=peer)
    if status == 429 or code in _OF_LOAD:
        return _waits(f"4.3.2 {peer} wants less just now ({told})", _pause(answer, said, now) or PAUSE, peer, now)
    if status >= 500 or status < 400 or status == 408:
        pause = _pause(answer, said, now)
        reason = f"4.3.0 {peer} can't do it now ({told})"
        return Outcome(Verdict.RETRY, reason, peer=peer) if pause is None else _waits(reason, pause, peer, now)
    meaning = _MEANINGS.get(code) or _BY_STATUS.get(status) or _BY_STATUS[400]
    verdict = Verdict.FAILED if meaning.status.startswith("5") else Verdict.RETRY
    return Outcome(verdict, f"{meaning.status} {peer}: {meaning.words} ({told})", peer=peer)


def _waits(reason: str, pause: float, peer: str, now: float) -> Outcome:
    """Nothing more goes there for so many seconds; never so few that the queue would only be tried without end."""
    until = now + min(max(pause, PAUSE), LONGEST_PAUSE)
    return Outcome(Verdict.RETRY, reason, peer=peer, again=until, queue_until=until)


def _error(content: bytes) -> tuple[str, str]:
    """Code and words of an error; empty if there are none that can be read."""
    try:
        error = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
    if not isinstance(error, Mapping):
        return "", ""
    return _line(_code(error)), _line(_text(error.get("message")))


def _code(error: Mapping[str, Any]) -> str:
    """Whatever is odd about the rest of it."""
    if code := _text(error.get("code")):
        return code
    lists = [found for key in ("details", "errors") if isinstance(found := error.get(key), list)]
    reasons = [_text(one.get("reason")) for found in lists for one in found if isinstance(one, Mapping)]
    return _telling([one for one in reasons if one]) or _text(error.get("status"))


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _telling(reasons: list[str]) -> str:
    """The first that we know of, else the first."""
    known = (one for one in reasons if one in _MEANINGS or one in _REFUSED or one in _OF_LOAD or one in _TOO_LARGE)
    return next(known, "") or next(iter(reasons), "")


def _line(text: str) -> str:
    return printable(" ".join(text.split()), _SAID)


def _pause(answer: Fetched, said: str, now: float) -> float | None:
    """Seconds that the provider wants to be left alone, less than none if that is past; None if it does not say."""
    if (pause := answer.retry_after(now)) is not None:
        return pause
    try:
        if found := _RETRY_AFTER.search(said):
            return datetime.fromisoformat(found[1].replace("Z", "+00:00")).timestamp() - now
    except (ValueError, OverflowError):
        pass
    return None
