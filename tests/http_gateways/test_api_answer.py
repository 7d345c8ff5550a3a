"""What an answer of a provider's interface means for the message, its queue and its user."""

import json

import pytest

from http_gateways.mail_provider import google_error, graph_error
from outgate.deliver.api_answer import LONGEST_PAUSE, PAUSE, judged
from outgate.deliver.credentials import GatewayTokens, log_security_event
from outgate.deliver.mail_api import APIS
from outgate.deliver.outcome import Outcome, Verdict
from outgate.egress.https_client import Fetched
from outgate.model import Gateway, GatewayKind, Security

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


def _judged(kind: GatewayKind, status: int, body: object = None, **headers: str) -> Outcome:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judged(APIS[kind], Fetched("https://x", status, content, named), "api.example[192.0.2.1]:443", 7, NOW)


GOOGLE_SCOPE = google_error(403, "insufficientPermissions", "Insufficient Permission", "PERMISSION_DENIED")


@pytest.mark.parametrize(
    ("kind", "status", "body", "verdict", "beginning"),
    [
        ("gmail", 200, {"id": "18c"}, "delivered", "2.0.0 200 as 18c"),
        ("gmail", 200, b"", "delivered", "2.0.0 200"),
        ("graph", 202, b"", "delivered", "2.0.0 202"),
        # What Graph is known to say to messages that are too large, and then does not send.
        ("graph", 200, b"", "retry", "4.3.0 "),
        ("gmail", 302, b"", "retry", "4.3.0 "),
        ("graph", 403, graph_error("ErrorSendAsDenied", "No right."), "failed", "5.7.1 "),
        ("graph", 400, graph_error("ErrorInvalidRecipients", "No."), "failed", "5.1.3 "),
        ("graph", 404, graph_error("MailboxNotEnabledForRESTAPI", "REST API is not yet"), "retry", "4.2.1 "),
        ("gmail", 400, google_error(400, "failedPrecondition", "Mail service not enabled"), "retry", "4.2.1 "),
        ("gmail", 400, google_error(400, "invalidArgument", "Invalid To header"), "failed", "5.6.0 "),
        ("gmail", 403, google_error(403, "domainPolicy", "disabled Gmail apps"), "retry", "4.7.0 "),
        ("gmail", 403, google_error(403, "somethingNew", "Words"), "retry", "4.7.0 "),
        ("gmail", 413, google_error(413, "uploadTooLarge", "Too large"), "failed", "5.3.4 "),
        ("graph", 400, graph_error("ErrorMessageSizeExceeded", "Too large"), "failed", "5.3.4 "),
        ("graph", 418, b"<html>", "failed", "5.5.0 "),
        ("graph", 503, b"", "retry", "4.3.0 "),
        ("gmail", 500, {"error": {"code": 500, "message": "Backend", "status": "INTERNAL"}}, "retry", "4.3.0 "),
        ("gmail", 500, ["no object"], "retry", "4.3.0 "),
        ("gmail", 500, {"error": {"message": "x", "details": 3}}, "retry", "4.3.0 "),
        # A code counts without words, and beside what is odd.
        ("graph", 403, {"error": {"code": "ErrorSendAsDenied"}}, "failed", "5.7.1 "),
        ("graph", 403, {"error": {"code": "ErrorSendAsDenied", "message": 7}}, "failed", "5.7.1 "),
        ("gmail", 400, {"error": {"details": [3], "errors": [{"reason": "invalidArgument"}]}}, "failed", "5.6.0 "),
        ("gmail", 400, {"error": {"errors": 3, "status": "FAILED_PRECONDITION"}}, "retry", "4.2.1 "),
    ],
)
def test_the_verdict(kind: str, status: int, body: object, verdict: str, beginning: str) -> None:
    found = _judged(GatewayKind(kind), status, body)
    assert (found.verdict, found.reason[: len(beginning)]) == (Verdict(verdict), beginning)
    assert not found.refuses_credential
    assert found.queue_until is None
    assert found.is_of_peer


@pytest.mark.parametrize(
    ("kind", "status", "body", "words"),
    [
        ("gmail", 401, google_error(401, "authError", "Invalid Credentials"), "401 authError: Invalid Credentials"),
        ("graph", 401, b"", "401"),
        (
            "graph",
            403,
            graph_error("ErrorAccessDenied", "Access is denied."),
            "403 ErrorAccessDenied: Access is denied.",
        ),
        ("gmail", 403, GOOGLE_SCOPE, "403 insufficientPermissions: Insufficient Permission"),
    ],
)
async def test_a_consent_that_is_not_good_refuses_the_credential(
    kind: str, status: int, body: object, words: str
) -> None:
    found = _judged(GatewayKind(kind), status, body)
    assert found.refuses_credential
    assert found.is_of_log_in
    assert found.reason.endswith(f"api.example[192.0.2.1]:443: log-in refused: {words}")
    gateway = Gateway("1:1", "api.example", 443, Security.SSL, "alice", provider="example", kind=GatewayKind(kind))
    tokens = GatewayTokens(gateway, _Tokens(), log_security_event)
    await tokens()
    assert await tokens.renew(found), "another token is worth a try"


class _Tokens:
    async def current(self, gateway: Gateway, *, instead_of: str = "") -> str:
        return "another" if instead_of else "one"


@pytest.mark.parametrize(
    ("status", "message", "headers", "seconds"),
    [
        (429, "", {}, PAUSE),
        (429, "", {"retry_after": "120"}, 120.0),
        (429, "", {"retry_after": "99999999999"}, LONGEST_PAUSE),
        (429, "", {"retry_after": "Fri, 15 Jan 2027 08:02:00 GMT"}, 120.0),
        (429, "", {"retry_after": "soon"}, PAUSE),
        (403, "User-rate limit exceeded.  Retry after 2027-01-15T08:03:00.000Z", {}, 180.0),
        (503, "", {"retry_after": "90"}, 90.0),
        # So little, or a time that is past, would only mean to try it without end.
        (503, "", {"retry_after": "0"}, PAUSE),
        (429, "", {"retry_after": "1"}, PAUSE),
        (503, "", {"retry_after": "Thu, 01 Jan 1970 00:00:00 GMT"}, PAUSE),
        (403, "User-rate limit exceeded.  Retry after 2027-01-15T07:03:00.000Z", {}, PAUSE),
        (429, "", {"retry_after": "\u00b2"}, PAUSE),
    ],
)
def test_the_queue_waits_as_long_as_is_said(status: int, message: str, headers: dict[str, str], seconds: float) -> None:
    body = google_error(status, "userRateLimitExceeded" if status == 403 else "x", message)
    found = _judged(GatewayKind.GMAIL, status, body, **headers)
    assert found.verdict is Verdict.RETRY
    assert found.is_of_load
    assert (found.again, found.queue_until) == (NOW + seconds, NOW + seconds)


def test_a_reason_is_one_line_of_a_sensible_length() -> None:
    found = _judged(GatewayKind.GRAPH, 400, graph_error("Bad\r\ncode", "a\r\nb\x1b[31m" + "x" * 5000))
    assert found.reason.isprintable()
    assert len(found.reason) < 800
