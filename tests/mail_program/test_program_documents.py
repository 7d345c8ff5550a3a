"""What programs are told, read as they read it: by our own reader of autoconfig, an XML parser, plistlib, JSON."""

import json
import plistlib
from xml.etree.ElementTree import fromstring

import pytest

from outgate.discovery import autoconfig
from outgate.discovery.candidates import Sought
from outgate.mail_program import autodiscover
from outgate.mail_program.apple_profile import apple_profile
from outgate.mail_program.autodiscover import NotAnswered
from outgate.mail_program.client_config import client_config
from outgate.mail_program.program_servers import ProgramServer, ProgramServers
from outgate.mail_program.thunderbird_code import thunderbird_code
from outgate.model import Security

ALICE = "alice@example.com"
SMTPS = ProgramServer("mail.example.com", 465, Security.SSL)
SUBMISSION = ProgramServer("mail.example.com", 587, Security.STARTTLS)
IMAPS = ProgramServer("imap.example.com", 993, Security.SSL)
BOTH = ProgramServers((SMTPS, SUBMISSION), IMAPS, "https://mail.example.com")
SMTP_ALONE = ProgramServers((SUBMISSION,), None, "")
REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"


# --- autoconfig ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("servers", [BOTH, SMTP_ALONE])
def test_others_find_the_servers_in_our_autoconfig_as_we_find_theirs(servers: ProgramServers) -> None:
    found = autoconfig.read(client_config(servers, "example.com"), Sought.of(ALICE))
    assert [(one.host, one.port, one.security, one.username) for one in found] == [
        (one.host, one.port, one.security, ALICE) for one in servers.outgoing
    ]


def test_autoconfig_names_the_server_for_reading_and_the_page() -> None:
    root = fromstring(client_config(BOTH, "example.com"))
    incoming = root.find("./emailProvider[@id='example.com']/incomingServer[@type='imap']")
    assert incoming is not None
    assert [one.text for one in incoming] == ["imap.example.com", "993", "SSL", "password-cleartext", "%EMAILADDRESS%"]
    manual = root.find("./emailProvider/documentation")
    assert manual is not None
    assert manual.get("url") == "https://mail.example.com/settings/mail-program"


# --- Autodiscover ----------------------------------------------------------------------------------------------------


def asked(address: str = ALICE, schema: str = RESPONSE, kind: str = REQUEST) -> bytes:
    """What Outlook sends."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{kind}"><Request><EMailAddress>{address}'
        f"</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
    ).encode()


def protocols(document: bytes) -> list[dict[str, str | None]]:
    """Each protocol's facts by name."""
    found = fromstring(document).iter(f"{{{RESPONSE}}}Protocol")
    return [{fact.tag.rpartition("}")[2]: fact.text for fact in one} for one in found]


def test_outlook_is_told_both_servers() -> None:
    assert autodiscover.address_asked_for(asked()) == ALICE
    imap, smtp = protocols(autodiscover.settings(BOTH, ALICE))
    assert (imap["Type"], imap["Server"], imap["Port"], imap["Encryption"]) == (
        "IMAP",
        "imap.example.com",
        "993",
        "SSL",
    )
    assert (smtp["Type"], smtp["Server"], smtp["Port"], smtp["Encryption"]) == (
        "SMTP",
        "mail.example.com",
        "465",
        "SSL",
    )
    assert {imap["LoginName"], smtp["LoginName"]} == {ALICE}
    assert (imap["SSL"], imap["SPA"], smtp["AuthRequired"]) == ("on", "off", "on")


def test_without_a_server_for_reading_outlook_is_told_the_other() -> None:
    (smtp,) = protocols(autodiscover.settings(SMTP_ALONE, ALICE))
    assert (smtp["Type"], smtp["Port"], smtp["Encryption"]) == ("SMTP", "587", "TLS")


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + asked("&b;").partition(b"?>")[2]
OUTSIDE = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + asked("&f;").partition(b"?>")[2]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 600),
        (b"no XML", 600),
        (b"<Autodiscover>", 600),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', 600),
        (b"\xff\xfe\x00", 600),
        (BOMB, 600),
        (OUTSIDE, 600),
        (asked(""), 600),
        (asked().replace(b"EMailAddress", b"LegacyDN"), 600),
        (b"<Autodiscover/>", 601),
        (asked(kind="http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006"), 601),
        (asked(schema="http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"), 601),
    ],
)
def test_what_is_no_request_of_outlook_is_refused_in_its_form(body: bytes, code: int) -> None:
    with pytest.raises(NotAnswered) as refused:
        autodiscover.address_asked_for(body)
    error = fromstring(autodiscover.refusal(refused.value))
    assert [one.text for one in error.iter() if one.tag.endswith("ErrorCode")] == [str(code)]


def test_an_address_of_markup_stays_a_text() -> None:
    (login,) = {one["LoginName"] for one in protocols(autodiscover.settings(BOTH, '"<&>"@example.com'))}
    assert login == '"<&>"@example.com'


@pytest.mark.parametrize("protocol", ["AutodiscoverV1", "Autodiscoverv1", "autodiscoverv1"])
def test_the_second_version_leads_to_the_first(protocol: str) -> None:
    status, found = autodiscover.place(BOTH, protocol)
    assert (status, found["Url"]) == (200, "https://mail.example.com/autodiscover/autodiscover.xml")


@pytest.mark.parametrize("protocol", ["", "ActiveSync", "EWS"])
def test_the_second_version_has_nothing_else(protocol: str) -> None:
    status, said = autodiscover.place(BOTH, protocol)
    assert (status, said["ErrorCode"]) == (400, "InvalidProtocol")


# --- a file for Apple's devices, a code for Android ------------------------------------------------------------------


def test_a_profile_has_one_account_and_no_password() -> None:
    profile = plistlib.loads(apple_profile(IMAPS, SMTPS, ALICE, "Alice <Rossi> & Co", "Mail of Alice"))
    (account,) = profile["PayloadContent"]
    assert (profile["PayloadType"], account["PayloadType"]) == ("Configuration", "com.apple.mail.managed")
    assert (account["IncomingMailServerHostName"], account["IncomingMailServerPortNumber"]) == ("imap.example.com", 993)
    assert (account["OutgoingMailServerHostName"], account["OutgoingMailServerPortNumber"]) == ("mail.example.com", 465)
    assert {account["IncomingMailServerUsername"], account["OutgoingMailServerUsername"]} == {ALICE}
    assert (account["EmailAddress"], account["EmailAccountName"]) == (ALICE, "Alice <Rossi> & Co")
    assert {"IncomingPassword", "OutgoingPassword"}.isdisjoint(account)
    assert account["OutgoingPasswordSameAsIncomingPassword"] is False


def test_a_newer_profile_replaces_the_older_one_of_its_account_and_no_others() -> None:
    def ids(*args: str) -> list[str]:
        profile = plistlib.loads(apple_profile(IMAPS, SMTPS, *args))
        return [
            one[key] for one in (profile, *profile["PayloadContent"]) for key in ("PayloadUUID", "PayloadIdentifier")
        ]

    assert ids(ALICE, "Alice", "Mail") == ids(ALICE, "Alice Rossi", "Posta")
    assert len({*ids(ALICE, "Alice", "Mail"), *ids("bob@example.com", "Bob", "Mail")}) == 8


def test_thunderbird_for_android_scans_the_account() -> None:
    """As the format's own example (version 1)."""
    code = thunderbird_code(IMAPS, SUBMISSION, ALICE, "Àlice")
    assert code is not None
    assert json.loads(code) == [
        1,
        [1, 1],
        [0, "imap.example.com", 993, 3, 1, ALICE],
        [[[0, "mail.example.com", 587, 2, 1, ALICE], [ALICE, "Àlice"]]],
    ]


def test_there_is_no_code_for_an_address_that_it_can_not_say() -> None:
    assert thunderbird_code(IMAPS, SMTPS, "ålice@example.com", "Ålice") is None
