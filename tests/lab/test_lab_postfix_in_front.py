"""A real Postfix in front, as docs/relaying.md sets it up: Dovecot does the log-in there, Outgate has the accounts."""

import re
import sys
from pathlib import Path

import pytest
from lab.dovecot import Dovecot
from lab.namespaces import Namespace, Network
from lab.plan import OUTGATE_HOST
from lab.polling import wait_for
from lab.postfix import Postfix

from outgate.record.events import EventKind
from way.place import Site, install
from way.test_own_mail_leaves import events, inbox

pytestmark = pytest.mark.lab

ALICE, BOB, PARTNER = "alice@example.com", "bob@example.com", "alice@partner.example"
CAROL, DAVE = "carol@recipient.example", "dave@recipient.example"
PASSWORD = "front secret"
RELAY = 2526
DOCS = Path(__file__).parents[2] / "docs" / "relaying.md"
_SUBMISSION = "127.0.0.1:587 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes\n"


def _shown(file: str) -> str:
    """What the document has in this file."""
    block = re.search(rf"`{re.escape(file)}`[^`]*```\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert block
    return block[1]


def _postfix(machine: Namespace, dovecot: Dovecot) -> Postfix:
    checks = machine.folder / "outgate_account"
    checks.write_text(_shown("/etc/postfix/outgate_account"))
    shown = _shown("/etc/postfix/main.cf").replace("[outgate.internal]:2525", f"[127.0.0.1]:{RELAY}")
    shown = shown.replace("/etc/postfix/outgate_account", str(checks))
    main = dict(re.findall(r"^(\w+) = (.*)$", shown, re.MULTILINE))
    return Postfix(machine, _SUBMISSION, {**main, **dovecot.settings()})


def _send(machine: Namespace, subject: str, to: str, *fields: str, user: str = "") -> None:
    """By a mail program that logs in as `user`, if as anybody; Postfix trusts its own machine."""
    log_in = ("--auth", "PLAIN", "--auth-user", user, "--auth-password", PASSWORD) if user else ()
    header = [f"From: <{PARTNER}>", f"To: <{to}>", f"Subject: {subject}", *fields]
    envelope = ("--helo", "desk", "--from", PARTNER, "--to", f"{to},{BOB}")
    machine.run(
        "swaks",
        "--server",
        "127.0.0.1:587",
        *envelope,
        *log_in,
        "--data",
        "-",
        stdin="\n".join([*header, "", "Hello", ""]),
    )


def _ways(site: Site) -> dict[str, str]:
    """By recipient, of the message that came last."""
    return {one: event.detail["way"] for event in events(site, EventKind.ROUTED) for one in event.detail["recipients"]}


async def test_who_has_logged_in_to_postfix_has_the_account_and_nobody_else(tmp_path: Path) -> None:
    forged = ("X-Outgate-Account: " + ALICE, f"Received: from x (x [192.0.2.1])\n\t(Authenticated sender: {ALICE})")
    with Network() as network:
        machine = network.add("front", OUTGATE_HOST)
        relay = {"port": RELAY, "address": "127.0.0.1", "trusted_networks": ("127.0.0.1/32",)}
        site = install(machine.folder / "outgate", relay=relay, delivery={"smtp_port": 1})
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, 1)
        dovecot = Dovecot(machine, {ALICE: PASSWORD, BOB: PASSWORD})
        dovecot.start()
        serve = (sys.executable, "-m", "outgate", "--data", str(site.data), "serve")
        machine.start(*serve, ready=lambda: machine.listens(RELAY))
        postfix = _postfix(machine, dovecot)
        postfix.start(587)
        machine.wait_until_ready()

        _send(machine, "by alice", CAROL, user=ALICE)
        _send(machine, "by nobody", DAVE, *forged)
        wait_for("one in the mailbox", lambda: inbox(site, BOB), log=postfix.log_tail)
        ways = wait_for("both in the record", lambda: len(found := _ways(site)) == 3 and found, log=postfix.log_tail)
        assert ways == {CAROL: "user-gateway", DAVE: "direct", BOB: "local"}
        assert [one["X-Outgate-Account"] for one in inbox(site, BOB)] == [None]

        _send(machine, "by bob", CAROL, user=BOB)  # to whom the address does not belong
        wait_for("its refusal", lambda: "is not an address of bob@example.com" in postfix.log.read_text())
