"""Which servers programs are told of, as the configuration has them, and by which DNS records they are found."""

from pathlib import Path

import pytest

from outgate.config import Config, ConfigError, load
from outgate.directory.dns_records import zone_line
from outgate.mail_program.pacc_document import digest_record, pacc_document
from outgate.mail_program.program_records import program_records
from outgate.mail_program.program_servers import ProgramServer, servers_of
from outgate.model import Security


def configured(tmp_path: Path, text: str) -> Config:
    """Of a file with these lines."""
    (tmp_path / "outgate.toml").write_text(f'hostname = "mail.example.com"\n{text}')
    return load(tmp_path)


def test_tls_from_the_start_is_told_before_starttls(tmp_path: Path) -> None:
    assert servers_of(configured(tmp_path, "")).outgoing == (
        ProgramServer("mail.example.com", 465, Security.SSL),
        ProgramServer("mail.example.com", 587, Security.STARTTLS),
    )


def test_a_port_that_changes_at_each_start_is_told_to_nobody(tmp_path: Path) -> None:
    servers = servers_of(configured(tmp_path, "[submission]\ntls_port = 0\nstarttls_port = 0"))
    assert servers.outgoing == ()
    assert servers.both is None


@pytest.mark.parametrize(
    ("local", "host", "port"),
    [
        ('mailbox_imap = "imaps://imap.example.com"', "imap.example.com", 993),
        ('mailbox_imap = "imaps://imap.example.com:9993"', "imap.example.com", 9993),
        ('mailbox_imap = "imaps://[2001:db8::1]"', "2001:db8::1", 993),
        ('mailbox_imap = "imaps://10.0.0.1"\nprograms_imap = "imaps://imap.example.com"', "imap.example.com", 993),
        ('mailbox_imap = "imap://127.0.0.1"\nprograms_imap = "imaps://imap.example.com"', "imap.example.com", 993),
        ('programs_imap = "imaps://imap.example.com"', "imap.example.com", 993),
    ],
)
def test_mail_is_read_where_the_administrator_says(tmp_path: Path, local: str, host: str, port: int) -> None:
    servers = servers_of(configured(tmp_path, f'[local]\nimap_user = "master"\n{local}'))
    assert servers.incoming == ProgramServer(host, port, Security.SSL)


@pytest.mark.parametrize("url", ["", "imap://127.0.0.1", "imaps://localhost", "imaps://127.0.0.1:993", "imaps://[::1]"])
def test_a_mailbox_server_of_this_machine_alone_is_nothing_to_programs(tmp_path: Path, url: str) -> None:
    assert servers_of(configured(tmp_path, f'[local]\nimap_user = "m"\nmailbox_imap = "{url}"')).incoming is None


@pytest.mark.parametrize(
    "url",
    [
        *(
            "imap://imap.example.com",
            "imap.example.com",
            "imaps://a:b@imap.example.com",
            "imaps://h:0",
            "imaps://h:65536",
        ),
        *("imaps://[foo", "imaps://foo]", "imaps://[::::]", "imaps://[abc]", "imaps://[192.0.2.1]", "imaps://[::1%1]"),
    ],
)
def test_what_is_no_address_of_an_imap_server_is_refused_at_the_start(tmp_path: Path, url: str) -> None:
    for key in ("programs_imap", "mailbox_imap"):
        with pytest.raises(ConfigError, match=f"{key} must be imaps://"):
            configured(tmp_path, f'[local]\nimap_user = "master"\n{key} = "{url}"')


def test_records_let_programs_find_the_servers(tmp_path: Path) -> None:
    text = '[local]\nprograms_imap = "imaps://imap.example.com"\n[web]\npublic_url = "https://pages.example.com/mail/"'
    records = program_records(servers_of(configured(tmp_path, text)), "example.org")
    document = pacc_document(servers_of(configured(tmp_path, text)))
    assert document
    assert [zone_line(one) for one in records] == [
        "_submissions._tcp.example.org. SRV 0 1 465 mail.example.com.",
        "_submission._tcp.example.org. SRV 0 1 587 mail.example.com.",
        "_imaps._tcp.example.org. SRV 0 1 993 imap.example.com.",
        "_autodiscover._tcp.example.org. SRV 0 1 443 pages.example.com.",
        "autoconfig.example.org. CNAME pages.example.com.",
        "ua-auto-config.example.org. CNAME pages.example.com.",
        f'_ua-auto-config.example.org. TXT "{digest_record(document)}"',
    ]


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("", []),
        ("http://pages.example.com", []),
        ("https://192.0.2.1", []),
        ("https://pages.example.com:8443", ["_autodiscover._tcp.example.org"]),
    ],
)
def test_no_record_leads_to_where_programs_do_not_ask(tmp_path: Path, url: str, names: list[str]) -> None:
    servers = servers_of(configured(tmp_path, f'[web]\npublic_url = "{url}"'))
    assert [one.name for one in program_records(servers, "example.org")][2:] == names


def test_an_address_in_place_of_a_name_gets_no_record(tmp_path: Path) -> None:
    servers = servers_of(configured(tmp_path, '[local]\nprograms_imap = "imaps://192.0.2.1"'))
    assert not [one for one in program_records(servers, "example.org") if "imaps" in one.name]
