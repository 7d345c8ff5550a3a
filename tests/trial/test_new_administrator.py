"""Tried as a new administrator would: the commands of the pages, one after the other, in a bare Debian 12.

From the wheel to the first message by a partner's server; then the three faults of a night, each found and mended by
what docs/operating.md says. The tests go on from each other's state, as an administrator does.
"""

import re
from dataclasses import dataclass

import pytest
from lab.bare_debian import BareDebian
from lab.pages import commands
from lab.polling import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(240)]

SET_UP, OPERATING = "docs/set-up.md", "docs/operating.md"
ALICE, PARTNER, CAROL = "alice@example.com", "alice@dominiopartner.example", "carol@recipient.example"
ADMINISTRATOR = "admin@example.com"
# What is so in this place alone. Mail that failed twice is told of, and waits for an hour: what leaves before then was
# mended.
PLACE = (
    "submission.address=198.51.100.40",
    'egress.allowed_networks={place = "198.51.100.0/24"}',
    "delivery.ca_file=authority.pem",
    f"delivery.notices_to={ADMINISTRATOR}",
    "delivery.retry_first=2",
    "delivery.retry_factor=10",
    "delivery.retry_longest=3600",
    "delivery.fault_report_after=1",
    "delivery.delay_report_after=1",
)


@dataclass
class Administrator:
    """Types commands as root, with OUTGATE_DATA set."""

    debian: BareDebian

    def types(self, *lines: str, check: bool = True) -> str:
        """What the commands print, on standard output and error."""
        script = "\n".join(["export OUTGATE_DATA=/var/lib/outgate", "set -e" if check else "", *lines])
        done = self.debian.run(script, check=check)
        return done.stdout + done.stderr

    def follows(self, page: str, heading: str, **instead: str) -> str:
        """Types what is on a page; `instead` are the words for which this place has others."""
        lines = commands(page, heading)
        for words, others in instead.items():
            assert any(words in line for line in lines), f"{page}, {heading}: {words}"
            lines = [line.replace(words, others) for line in lines]
        return self.types(*lines)

    def problems(self) -> str:
        """What `outgate status` says is wrong; empty if nothing is."""
        return "\n".join(line for line in self.types("outgate status", check=False).splitlines() if "problem" in line)

    def mail_of(self, address: str) -> str:
        """All messages in the Maildir of a user, unfolded so far that words are found."""
        found = self.types(f"cat /var/lib/outgate/mail/{address}/new/*", check=False)
        return " ".join(found.replace("=\n", "").split())


@dataclass
class Alice:
    """Sends by swaks, as docs/mail-programs.md has it: her own log-in, and From as she likes."""

    debian: BareDebian

    def sends(self, subject: str, *, check: bool = True) -> str:
        """Queued as; or what the program complains of."""
        done = self.debian.run(
            "swaks --server mail.example.com --port 587 -tls --tls-verify --tls-ca-path /etc/authority/ca.pem"
            f" --auth-user {ALICE} --auth-password alice-has-a-secret"
            f" --from {PARTNER} --to {CAROL} --header 'Subject: {subject}'",
            check=check,
        )
        return done.stdout + done.stderr


@dataclass
class Carol:
    """Receives."""

    debian: BareDebian

    def receives(self, subject: str) -> str:
        """The message with this subject, once it is there."""
        look = f"cd /var/mail/others/carol/new && cat $(grep -l '^Subject: {subject}$' *)"
        return wait_for(
            f"'{subject}' for carol",
            lambda: ((found := self.debian.run(look, check=False)).returncode == 0 and found.stdout) or None,
            log=lambda: self.debian.run("tail -n 20 /var/log/mail.log; journalctl -u outgate -n 20").stdout,
        )


@pytest.fixture(scope="module")
def administrator(debian: BareDebian) -> Administrator:
    return Administrator(debian)


@pytest.fixture(scope="module")
def alice(debian: BareDebian) -> Alice:
    return Alice(debian)


@pytest.fixture(scope="module")
def carol(debian: BareDebian) -> Carol:
    return Carol(debian)


def told(administrator: Administrator, address: str, *words: str) -> None:
    """That a user was sent a message with these words."""
    wait_for(
        f"{words} for {address}",
        lambda: all(one in administrator.mail_of(address) for one in words),
        log=lambda: administrator.mail_of(address)[-3000:],
    )


def test_by_the_pages_the_first_message_leaves_by_the_partners_server(
    administrator: Administrator, alice: Alice, carol: Carol
) -> None:
    administrator.follows(SET_UP, "0. Install it", **{"apt-get install": "apt-get install --yes"})
    settings = " ".join(f"--set '{setting}'" for setting in PLACE)
    made = administrator.follows(SET_UP, "1. Make the data directory", **{"init": f"init {settings}"})
    assert "v=spf1" in made
    assert f"{ADMINISTRATOR} logs in by this, once" in made
    administrator.types(
        "echo alice-has-a-secret > alice.password",
        "echo partner-has-a-secret > partner.password",
        "cp /etc/authority/ca.pem /var/lib/outgate/authority.pem",
    )
    assert ALICE in administrator.follows(SET_UP, "2. Add users")
    started = administrator.follows(SET_UP, "3. Start the server")
    assert re.search(r"^server +running$", started, re.MULTILINE)
    assert "relay.example.com" in started
    assert "Active: active" in administrator.types("systemctl status outgate")
    administrator.follows(SET_UP, "4. Allow gateways")
    *adding, verifying = commands(SET_UP, "5. Add the address")
    administrator.types(*adding)
    code = "sed -n 's/^ *\\([0-9]\\{9\\}\\)$/\\1/p' /var/mail/others/alice/new/*"
    found = wait_for("the code", lambda: administrator.types(code, check=False).strip() or None)
    administrator.types(verifying.replace("123456789", found))
    # The certificate in place of the self-made one, by the page as well.
    renew(administrator)
    alice.sends("the first")
    message = carol.receives("the first")
    assert re.search(r"Received: from mail\.example\.com .*\n.*by smtp\.dominiopartner\.example .* ESMTPSA", message)
    assert f"From: {PARTNER}" in message
    assert ALICE not in message
    shown = administrator.follows(SET_UP, "6. See where")
    assert "nothing waits" in shown
    assert "delivered" in shown
    assert administrator.problems() == ""


def renew(administrator: Administrator) -> None:
    """As the page on operating has it, with a certificate that is good."""
    administrator.types(
        "issue mail.example.com 60",
        "cp /etc/authority/mail.example.com.pem fullchain.pem",
        "cp /etc/authority/mail.example.com.key privkey.pem",
    )
    administrator.follows(OPERATING, "The certificate has expired")
    wait_for("the log", lambda: "certificate reloaded" in administrator.types("journalctl -u outgate -n 3"))


def test_what_root_changes_the_server_can_still_read(administrator: Administrator, alice: Alice, carol: Carol) -> None:
    administrator.types("outgate secrets rotate", "systemctl restart outgate")
    assert administrator.types("find /var/lib/outgate ! -user outgate") == ""
    alice.sends("after a rotation")
    carol.receives("after a rotation")


def test_a_changed_password_is_told_and_mended_by_the_page(
    administrator: Administrator, alice: Alice, carol: Carol
) -> None:
    administrator.types("echo 'alice:{PLAIN}a-new-secret' > /etc/dovecot/partner-users", "doveadm reload")
    administrator.types("systemctl restart postfix")  # no session goes on that was logged in before
    alice.sends("password changed")
    told(administrator, ALICE, "goes through smtp.dominiopartner.example", "does not accept the password", "535 5.7.8")
    told(administrator, ADMINISTRATOR, "Mail by smtp.dominiopartner.example (alice) waits", "535 5.7.8")
    problem = administrator.problems()
    assert f"smtp.dominiopartner.example (alice), the gateway of {PARTNER} ({ALICE})" in problem
    assert "535 5.7.8" in problem
    waiting, _, setting, testing = commands(OPERATING, "A gateway's password was changed")
    assert PARTNER in administrator.types(waiting)
    shown = administrator.debian.answer(
        f"export OUTGATE_DATA=/var/lib/outgate; {setting}", "Password of alice", "a-new-secret"
    )
    assert "a-new-secret" not in shown
    assert "works" in administrator.types(testing)
    carol.receives("password changed")
    assert administrator.problems() == ""


def test_mail_for_a_gateway_that_was_down_leaves_by_the_command_of_the_page(
    administrator: Administrator, alice: Alice, carol: Carol
) -> None:
    administrator.types("systemctl stop postfix")
    for number in range(3):
        alice.sends(f"gateway down {number}")
    told(
        administrator,
        ALICE,
        "Not delivered yet: gateway down 2",
        "could not connect to smtp.dominiopartner.example:587",
    )
    assert "Connection refused" in administrator.problems()
    administrator.types("systemctl start postfix")
    retrying, clearing = commands(OPERATING, "A gateway is down")
    assert "3 recipients tried again now" in administrator.types(retrying)
    for number in range(3):
        carol.receives(f"gateway down {number}")
    # It stays away: taken off, the organisation's servers deliver what waits.
    administrator.types("postconf -MX 198.51.100.10:587/inet")
    administrator.types("systemctl restart postfix")
    alice.sends("gateway gone")
    wait_for("the problem is named", administrator.problems)
    administrator.types(clearing)
    message = carol.receives("gateway gone")
    assert f"Sender: {ALICE}" in message.replace('"Alice Rossi" <', "").replace("Alice Rossi <", "").replace(">", "")
    assert administrator.problems() == ""


def test_an_expired_certificate_is_told_and_renewed_by_the_page(
    administrator: Administrator, alice: Alice, carol: Carol
) -> None:
    administrator.types(
        "issue mail.example.com -1",
        "cat /etc/authority/mail.example.com.pem > /var/lib/outgate/tls/cert.pem",
        "systemctl restart outgate",
    )
    assert "certificate verify failed" in alice.sends("too late", check=False)
    told(administrator, ADMINISTRATOR, "The certificate has expired: mail.example.com")
    assert "has expired" in administrator.problems()
    renew(administrator)
    alice.sends("in time")
    carol.receives("in time")
    assert administrator.problems() == ""
