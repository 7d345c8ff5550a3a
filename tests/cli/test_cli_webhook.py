"""`outgate webhook`: the secret shown once, a test that is sent, tries that are seen, and its end."""

from pathlib import Path

import pytest

from cli.program import Program
from outgate.cli.status import Status
from webhooks.receiver import Receiver


@pytest.fixture(autouse=True)
def allow_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTGATE_WEBHOOKS__ALLOW_HTTP", "true")


def test_a_webhook_from_its_begin_to_its_end(program: Program) -> None:
    with Receiver() as receiver:
        made = program.run("webhook", "add", "tickets", receiver.url, "--type", "message.bounced")
        assert program.run("webhook", "test", "tickets")["outcome"] == "delivered"
        [test] = receiver.take()
        assert test.event["type"] == "webhook.test"
        assert test.is_signed_by(made["secret"])
        receiver.status = 500
        assert program.run("webhook", "test", "tickets", status=Status.CHECK_FAILED)["reason"] == "HTTP 500"
        new = program.run("webhook", "rotate", "tickets")["secret"]
        receiver.status = 204
        program.run("webhook", "test", "tickets")
        assert receiver.received[-1].is_signed_by(new)
        assert receiver.received[-1].is_signed_by(made["secret"])
    assert [one["outcome"] for one in program.run("webhook", "tries", "tickets")] == [
        "delivered",
        "given-up",
        "delivered",
    ]
    assert program.run("webhook", "disable", "tickets")["stopped_because"].startswith("stopped by console")
    assert program.run("webhook", "enable", "tickets")["state"] == "on"
    shown = [program.says("webhook", *words) for words in (["list"], ["show", "tickets"], ["tries", "tickets"])]
    shown.append(program.says("audit", "list"))
    kept = Path(program.data / "outgate.db").read_bytes()
    for secret in (made["secret"], new):
        assert not [text for text in shown if secret in text]
        assert secret.removeprefix("whsec_").encode() not in kept
    program.run("webhook", "remove", "tickets")
    assert program.run("webhook", "list") == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("Tickets", "https://hooks.example/"), "not a webhook's name"),
        (("tickets", "ftp://hooks.example/"), "a URL that begins with"),
        (("tickets", "https://u:p@hooks.example/"), "no user name"),
        (("tickets", "https://192.0.2.1/"), "a host, not an address"),
        (("tickets", "https://hooks.example/", "--ou", "/Sales", "--user", "alice@example.com"), "not both"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_said(program: Program, arguments: tuple[str, ...], says: str) -> None:
    assert says in program.fails(Status.INVALID, "webhook", "add", *arguments)


def test_plain_http_is_refused_unless_it_is_allowed(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTGATE_WEBHOOKS__ALLOW_HTTP", "false")
    assert "https://" in program.fails(Status.INVALID, "webhook", "add", "tickets", "http://hooks.example/")
