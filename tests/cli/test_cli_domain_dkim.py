"""`outgate domain dkim`, with a real DNS server on loopback."""

from typing import Any

from advisor.zone import serving
from cli.program import Program
from outgate.cli.status import Status
from outgate.mail import dkim

DOMAIN = "example.com"


def stages(row: Any) -> list[str]:
    return [key["stage"] for key in row["dkim_keys"]]


def test_keys_are_rotated_when_the_dns_has_the_new_records(program: Program) -> None:
    shown = program.says("domain", "dkim", "rotate", DOMAIN)
    row = program.run("domain", "show", DOMAIN)
    assert stages(row) == ["signing", "waiting", "waiting"]
    records = [one for one in row["dns"] if "_domainkey" in one["name"]]
    assert [one["purpose"] for one in records] == ["dkim", "next-dkim", "next-dkim"]
    program.fails(Status.ALREADY_EXISTS, "domain", "dkim", "rotate", DOMAIN)
    file = program.data / "outgate.toml"
    plain = file.read_text()
    new = [line.replace(". TXT", ". 60 IN TXT") for line in shown.splitlines() if "._domainkey." in line]
    with serving(f"{new[0]}\n") as half:
        file.write_text(plain.replace("#nameservers =", f'nameservers = ["{half.nameserver}"] #'))
        found = program.run("domain", "dkim", "check", DOMAIN, status=Status.CHECK_FAILED)
    assert list(found["in_dns"].values()) == ["key-missing", "pass", "key-missing"]
    assert stages(found) == ["signing", "waiting", "waiting"]
    with serving("\n".join([*new, ""])) as whole:
        file.write_text(plain.replace("#nameservers =", f'nameservers = ["{whole.nameserver}"] #'))
        assert "is signed with" in program.says("domain", "dkim", "check", DOMAIN)
    listed = program.run("domain", "dkim", "list", DOMAIN)
    assert [key["stage"] for key in listed] == ["retired", "signing", "signing"]
    assert listed[0]["removable_from"] > listed[0]["retired_at"]
    first = program.run("domain", "show", DOMAIN)["dns"][1]
    assert (first["purpose"], "remove the record after" in first["note"]) == ("former-dkim", True)
    program.run("domain", "dkim", "rotate", DOMAIN)
    assert stages(program.run("domain", "dkim", "cancel", DOMAIN)) == ["retired", "signing", "signing"]
    program.fails(Status.NOT_FOUND, "domain", "dkim", "cancel", DOMAIN)


def test_a_key_of_ones_own_can_be_brought(program: Program) -> None:
    pem = dkim.generate("ed25519")
    file = program.data.parent / "key.pem"
    file.write_bytes(pem)
    brought = ("domain", "dkim", "set", DOMAIN, "--selector", "mine", "--key-file", str(file))
    program.run(*brought)
    row = program.run("domain", "show", DOMAIN)
    assert (row["dkim_selector"], row["dkim_record"]) == ("mine", dkim.dns_record(pem))
    file.write_text("no key")
    program.fails(Status.INVALID, *brought)
    program.fails(Status.UNAVAILABLE, *brought[:-1], "/nowhere")
    program.fails(Status.NOT_FOUND, "domain", "dkim", "set", "example.org")
