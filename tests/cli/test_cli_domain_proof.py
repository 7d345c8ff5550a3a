"""`outgate domain-proof` and `outgate address-grant`, with a real DNS server on loopback."""

from advisor.zone import serving
from cli.program import ALICE, CAROL, Program
from outgate.cli.status import Status

DOMAIN = "dominiopartner.example"
ANYBODY = f"anybody@{DOMAIN}"
WHOLE = f"*@{DOMAIN}"


def test_a_domain_is_proven_granted_used_with_its_gateway_and_taken_back(program: Program) -> None:
    begun = program.run("domain-proof", "begin", DOMAIN)
    assert begun["state"] == "begun"
    record = f'{begun["record_name"]}. 60 IN TXT "{begun["record_value"]}"\n'
    file = program.data / "outgate.toml"
    plain = file.read_text()
    with serving(f'{DOMAIN}. 60 IN TXT "x"\n') as empty:
        file.write_text(plain.replace("#nameservers =", f'nameservers = ["{empty.nameserver}"] #'))
        assert program.run("domain-proof", "check", DOMAIN, status=Status.CHECK_FAILED)["state"] == "begun"
        program.fails(Status.NOT_ALLOWED, "address-grant", "add", WHOLE, "--user", ALICE)
    with serving(record) as zone:
        file.write_text(plain.replace("#nameservers =", f'nameservers = ["{zone.nameserver}"] #'))
        assert program.run("domain-proof", "check", DOMAIN)["state"] == "proven"
    with serving(record, servfail=frozenset({begun["record_name"]})) as broken:
        file.write_text(plain.replace("#nameservers =", f'nameservers = ["{broken.nameserver}"] #'))
        unanswered = program.run("domain-proof", "check", DOMAIN, status=Status.UNAVAILABLE)
        assert (unanswered["state"], "SERVFAIL" in unanswered["unanswered"]) == ("proven", True)
    program.run("address-grant", "add", WHOLE, "--user", ALICE)
    assert program.run("address-grant", "list") == [{"address": WHOLE, "user": ALICE, "ou": None, "group": None}]
    program.run("policy", "set", "allowUsersToUseExternalSmtpServers", "on")
    gateway = ("sendas", "gateway", "set", ALICE, WHOLE, "--host", f"smtp.{DOMAIN}", "--no-probe")
    program.run(*gateway, "--username", "alice", "--password-stdin", stdin="secret")
    found = program.run("explain", ALICE, ANYBODY, CAROL)
    assert (found["way"], found["mail_from"]) == ("user-gateway", ANYBODY)
    assert found["reasons"][0] == f"{ANYBODY} is in {WHOLE}"
    program.run("domain-proof", "remove", DOMAIN)
    assert program.run("explain", ALICE, ANYBODY, CAROL, status=Status.NOT_ALLOWED)["allowed"] is False
    assert program.says("domain-proof", "list") == "no domain is proven\n"
