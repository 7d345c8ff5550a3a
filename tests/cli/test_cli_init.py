"""`outgate init`: everything that a server needs, or nothing."""

import os
import ssl
import tomllib
from pathlib import Path

import pytest
from cryptography import x509

from cli.program import ALICE, PASSWORD, Program
from outgate import config
from outgate.cli.status import Status


@pytest.fixture
def empty(tmp_path: Path) -> Program:
    return Program(tmp_path / "deep" / "data")


def test_it_makes_a_private_directory_that_works(made: Path) -> None:
    assert made.stat().st_mode & 0o777 == 0o700
    for name in ("secret.key", "outgate.toml", "tls/key.pem"):
        assert (made / name).stat().st_mode & 0o777 == 0o600
    assert config.load(made).hostname == "mail.example.com"
    assert [row["name"] for row in Program(made).run("domain", "list")] == ["example.com"]
    assert [row["path"] for row in Program(made).run("ou", "list")] == ["/"]


def test_the_certificate_is_for_the_host_name(made: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / "tls" / "cert.pem", made / "tls" / "key.pem")
    certificate = x509.load_pem_x509_certificate((made / "tls" / "cert.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.example.com"]


def test_it_prints_the_dns_records_and_what_to_do_next(empty: Program) -> None:
    text = empty.says("init", "example.com", "--hostname", "mail.example.com")
    for part in ("user add", "serve", "v=spf1", "v=DKIM1", "v=DMARC1", "MX", "secret.key"):
        assert part in text


def test_the_first_administrator_gets_a_link_for_the_first_log_in(empty: Program) -> None:
    dora = "dora@example.com"
    made = empty.run("init", "example.com", "--hostname", "mail.example.com", "--administrator", dora)["log_in"]
    assert made["address"] == dora
    assert made["url"].startswith("https://mail.example.com/log-in/link/")
    assert config.load(empty.data).web.public_url == "https://mail.example.com", "the pages are on"
    assert empty.run("role", "assignments") == [{"account": dora, "role": "super-admin", "ou": "/"}]
    recorded = empty.says("audit", "list")
    assert all(one in recorded for one in ("user.log-in-link", "role.assign", "user.create"))
    again = empty.run("user", "log-in-link", dora)
    assert again["url"] != made["url"]


def test_the_domain_may_be_international(empty: Program) -> None:
    assert empty.run("init", "münchen.example", "--hostname", "mail.example")["domain"] == "xn--mnchen-3ya.example"


def test_settings_are_written_and_the_others_stand_there_as_comments(empty: Program) -> None:
    pairs = ["submission.starttls_port=2587", "egress.ports=[1, 2]", "local.mailbox=lmtp://localhost:24"]
    pairs += ["web.oidc.name=Example", "web.port=8080"]
    empty.run("init", "example.com", "--hostname", "m.example", *(part for pair in pairs for part in ("--set", pair)))
    text = (empty.data / "outgate.toml").read_text()
    assert tomllib.loads(text) == {
        "hostname": "m.example",
        "submission": {"starttls_port": 2587},
        "log_in": {},
        "oauth": {},
        "egress": {"ports": [1, 2]},
        "local": {"mailbox": "lmtp://localhost:24"},
        "web": {"port": 8080, "oidc": {"name": "Example"}},
        **{name: {} for name in ("oidc", "ldap", "delivery", "record", "api", "relay", "tls_reports", "webhooks")},
    }
    assert "#tls_port = 465" in text


def test_all_defaults_in_the_comments_are_valid_settings(empty: Program) -> None:
    empty.run("init", "example.com", "--hostname", "m.example")
    file = empty.data / "outgate.toml"
    lines = [line for line in file.read_text().splitlines() if not line.endswith("=")]
    file.write_text("\n".join(line.removeprefix("#") if not line.startswith("# ") else line for line in lines))
    loaded = config.load(empty.data)
    assert loaded.submission == config.SubmissionSettings()
    assert loaded.delivery == config.DeliverySettings()


def test_it_refuses_to_run_twice(program: Program) -> None:
    key = (program.data / "secret.key").read_bytes()
    assert "exists already" in program.fails(Status.ALREADY_EXISTS, "init", "example.com")
    assert (program.data / "secret.key").read_bytes() == key


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["example..com"], Status.INVALID),
        (["example.com", "--set", "submission.port=1"], Status.INVALID),
        (["example.com", "--administrator", "dora@elsewhere.example"], Status.INVALID),
        (["example.com", "--set", "tcp.port=1"], Status.INVALID),
        (["example.com", "--set", "submission.tls_port=many"], Status.UNAVAILABLE),
        (["example.com", "--set", "submission.tls_port"], Status.USAGE),
        (["example.com", "--database-url", "mysql://localhost/mail"], Status.UNAVAILABLE),
        (["example.com", "--database-url", "postgresql://outgate@127.0.0.1:1/mail"], Status.UNAVAILABLE),
        (["example.com", "--database-url", "postgresql://outgate:secret@localhost/mail"], Status.USAGE),
    ],
)
def test_what_fails_leaves_nothing_behind(empty: Program, arguments: list[str], status: Status) -> None:
    empty.data.parent.mkdir()
    assert "secret@" not in empty.fails(status, "init", *arguments)
    assert not empty.data.exists()


def test_what_fails_leaves_alone_what_was_there(empty: Program) -> None:
    empty.data.mkdir(parents=True)
    (empty.data / "notes").write_text("mine")
    empty.fails(Status.INVALID, "init", "example.com", "--set", "submission.port=1")
    assert [path.name for path in empty.data.iterdir()] == ["notes"]
    empty.run("init", "example.com")
    assert (empty.data / "notes").read_text() == "mine"


def test_it_works_on_postgresql(empty: Program, new_postgresql: object) -> None:
    assert callable(new_postgresql)
    empty.run("init", "example.com", "--database-url", new_postgresql(migrated=False))
    empty.run("user", "add", ALICE, "--password-stdin", stdin=PASSWORD)
    assert not (empty.data / "outgate.db").exists()
    assert [row["address"] for row in empty.run("user", "list")] == [ALICE]


def test_a_directory_that_init_did_not_make_is_refused(empty: Program) -> None:
    assert "outgate --data" in empty.fails(Status.UNAVAILABLE, "user", "list")


def test_a_faulty_configuration_is_named(program: Program) -> None:
    (program.data / "outgate.toml").write_text("[submission]\nprot = 1\n")
    assert "submission.prot" in program.fails(Status.UNAVAILABLE, "user", "list")


def test_a_key_file_that_others_can_read_is_refused(program: Program) -> None:
    (program.data / "secret.key").chmod(0o644)
    assert "chmod 600" in program.fails(Status.UNAVAILABLE, "user", "list")


def test_all_that_it_made_is_on_disk_when_it_ends(empty: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut a moment later leaves no empty file, and no name without its file."""
    synced: set[str] = set()
    sync = os.fsync

    def watched(descriptor: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    empty.run("init", "example.com", "--hostname", "m.example")
    data = empty.data
    folders = (data, data / "tls", data.parent)
    files = (data / "outgate.toml", data / "tls" / "cert.pem", data / "tls" / "key.pem")
    assert {str(path) for path in (*folders, *files)} <= synced
    assert any("secret.key" in name or name.startswith(str(data / "tmp")) for name in synced)


def test_what_an_interrupted_init_has_left_is_named_with_what_to_do(empty: Program) -> None:
    empty.data.mkdir(parents=True)
    (empty.data / "outgate.toml").touch()
    told = empty.fails(Status.ALREADY_EXISTS, "init", "example.com")
    assert f"remove {empty.data} first" in told
