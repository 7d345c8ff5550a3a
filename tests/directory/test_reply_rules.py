"""Rules that read replies: those that are shipped, and files of an administrator's own."""

from pathlib import Path

import pytest

from outgate.directory import reply_rules
from outgate.directory.reply_rules import RulesError

MINE = "[[rule]]\nname = 'mine'\npattern = 'abc'\n"


@pytest.mark.parametrize(
    ("host", "reply", "rule"),
    [
        ("smtp.gmail.com", "550 5.4.5 Daily user sending limit exceeded. For more information", "google-daily-limit"),
        ("aspmx.l.google.com", "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail", "google-rate"),
        ("smtp.gmail.com", "454 4.7.0 Too many login attempts, please try again later", "google-too-many-log-ins"),
        (
            "aspmx.l.google.com",
            "421 4.7.26 This mail has been rate limited because it is unauthenticated",
            "google-unauthenticated",
        ),
        (
            "smtp.office365.com",
            "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded concurrent connections",
            "microsoft-thresholds",
        ),
        (
            "smtp.office365.com",
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant",
            "microsoft-smtp-auth-off",
        ),
        (
            "x-com.mail.protection.outlook.com",
            "451 4.7.500 Server busy. Please try again later",
            "microsoft-throttled-server",
        ),
        (
            "x-com.olc.protection.outlook.com",
            "550 5.7.515 Access denied, sending domain doesn't meet the required level",
            "microsoft-blocked",
        ),
        ("smtps.aruba.it", "450 4.7.1 Error: too many messages from this account", "aruba-rate"),
        ("smtp.libero.it", "421 smtp-18.iol.local too many connections LIB_100", "libero-rate"),
        ("mta5.am0.yahoodns.net", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", "yahoo-deferred"),
        ("email-smtp.eu-west-1.amazonaws.com", "454 Throttling failure: Maximum sending rate exceeded.", "ses-rate"),
        (
            "mx.recipient.example",
            "421 4.7.0 mx.recipient.example Error: too many connections from 192.0.2.1",
            "too-many-connections",
        ),
    ],
)
def test_a_provider_is_understood(host: str, reply: str, rule: str) -> None:
    found = reply_rules.shipped().find(host, reply)
    assert found is not None
    assert found.name == rule


@pytest.mark.parametrize("host", ["smtp.gmail.com", "smtp.office365.com", "smtp.libero.it", "mx.recipient.example"])
@pytest.mark.parametrize(
    "reply",
    [
        "250 2.0.0 OK",
        "550 5.1.1 The email account that you tried to reach does not exist",
        "452 4.2.2 The mailbox is full",
        "451 4.3.0 Temporary lookup failure",
        "4.4.1 mx[192.0.2.1]:25: timed out while connecting",
        "535 5.7.8 Username and Password not accepted",
    ],
)
def test_an_ordinary_reply_is_read_by_no_rule(host: str, reply: str) -> None:
    assert reply_rules.shipped().find(host, reply) is None


HOSTS = sorted({host for rule in reply_rules.shipped().all for host in rule.hosts} | {"mx.recipient.example"})


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    "reply",
    [
        "552 5.2.2 Mailbox is over its quota limit",
        "552 5.2.2 quota exceeded / casella piena: quota superata",
        "452 4.2.2 The recipient's mailbox has exceeded its quota",
        "552 5.3.4 Message size exceeds fixed limit",
        "552 5.3.4 il messaggio supera il limite consentito",
        "450 4.7.1 <bob@x.example>: Recipient address rejected: Greylisted, see http://postgrey.example",
        "451 4.7.1 Greylisting in action, please try again later",
        "452 4.5.3 Too many recipients",
        "550 5.1.1 [smtp-18.iol.local; LIB_102] user unknown",
        "550 5.7.1 Message refused, LIB_510",
        "550 5.2.122 The recipient has exceeded their limit for messages they can receive per hour",
        "421 4.7.0 Temporary system problem. Try again later",
        "421 4.7.0 TLS required for RCPT domain",
        "550 5.4.6 Routing loop detected",
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect",
        "4.4.1 mx[192.0.2.1]:25: too many hops perhaps",
    ],
)
def test_what_is_said_of_one_recipient_is_read_by_no_rule_of_any_provider(host: str, reply: str) -> None:
    assert reply_rules.shipped().find(host, reply) is None


def test_a_quota_of_the_mailbox_that_sends_is_not_of_one_that_receives() -> None:
    reply = "554 5.2.0 STOREDRV.Submission.Exception: Submission quota exceeded for this mailbox"
    found = reply_rules.shipped().find("smtp.office365.com", reply)
    assert found is not None
    assert found.name == "microsoft-submission-quota"


def test_a_host_whose_name_only_ends_alike_is_another() -> None:
    reply = "550 5.4.5 Daily user sending limit exceeded"
    assert reply_rules.shipped().find("smtp.notgmail.com", reply) is None


def test_rules_of_ones_own_come_first(tmp_path: Path) -> None:
    own = tmp_path / "rules.toml"
    own.write_text(
        "[[rule]]\nname = 'mine'\npattern = 'daily user'\naction = 'wait'\nseconds = 60\nmeaning = 'as I say'\n"
    )
    found = reply_rules.in_force(own).find("smtp.gmail.com", "550 5.4.5 Daily user sending limit exceeded")
    assert found is not None
    assert found.name == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[rule", "Expected"),
        ("[[rules]]\nname = 'mine'", r"nothing but tables of the name \[\[rule\]\]"),
        ("rule = 3", r"nothing but tables of the name \[\[rule\]\]"),
        ("rule = [3]", r"rule 1: must be a table: \[\[rule\]\]"),
        ("[[rule]]\nname = 'x'", "rule x: name must be of 3 to 60 small letters"),
        (f"{MINE}action = 'wait'\nseconds = 1", "rule mine: meaning is missing"),
        (f"{MINE}action = 'stop'\nseconds = 1\nmeaning = ''", "rule mine: action must be 'suspend', "),
        (f"{MINE}action = 'wait'\nseconds = 'long'\nmeaning = ''", "rule mine: seconds must be a number"),
        (f"{MINE}action = 'wait'\nseconds = -1\nmeaning = ''", "rule mine: seconds must be at least 0"),
        (f"{MINE}action = 'wait'\nseconds = 1\nmeaning = ''\nhosts = ['a', 3]", "rule mine: hosts.1 must be text"),
        (f"{MINE}action = 'slow-down'\nseconds = 1\nmeaning = ''\nrate = 'slowly'", "rate` must be as in 60/hour"),
        ("[[rule]]\nname = 'mine'\npattern = 'a'\naction = 'wait'\nmeaning = ''", "pattern must have at least 3"),
        (
            "[[rule]]\nname = 'mine'\npattern = '((('\naction = 'wait'\nseconds = 1\nmeaning = ''",
            "no regular",
        ),
        ("[[rule]]\nname = 'mine'\npattern = 'abc'\naction = 'slow-down'\nseconds = 1\nmeaning = ''", "rate"),
        ("[[rule]]\nname = 'mine'\npattern = 'abc'\naction = 'give-up'\nseconds = 1\nmeaning = ''", "seconds"),
        (
            "[[rule]]\nname = 'mine'\npattern = 'abc'\naction = 'wait'\nseconds = 1\nmeaning = ''\nx = 1",
            "x is no key of a rule: ",
        ),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    own = tmp_path / "rules.toml"
    own.write_text(text)
    with pytest.raises(RulesError, match=says) as told:
        reply_rules.in_force(own)
    assert not any(theirs in str(told.value) for theirs in ("Value error", "Input should", "Field required", "('"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"none\.toml can't be read"):
        reply_rules.in_force(tmp_path / "none.toml")
