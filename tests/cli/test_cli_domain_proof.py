"""`outgate domain-proof` and `outgate address-grant`, with a real DNS server on loopback."""

from advisor.zone import serving
from cli.program import ALICE, CAROL, Program
from outgate.cli.status import Status

DOMAIN = "dominiopartner.example"
ANYBODY = f"anybody@{DOMAIN}"
WHOLE = f"*@{DOMAIN}"
SALES = f"sales@{DOMAIN}"
BOB = "bob@example.com"


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
    granted = {"address": WHOLE, "user": ALICE, "ou": None, "group": None, "gateway": None}
    assert program.run("address-grant", "list") == [granted]
    sign_in = ("address-grant", "gateway", "sign-in", WHOLE, "--user", ALICE, "--provider", "google")
    assert "say by --username who signs in" in program.fails(Status.USAGE, *sign_in)
    program.run("policy", "set", "allowUsersToUseExternalSmtpServers", "on")
    gateway = ("sendas", "gateway", "set", ALICE, WHOLE, "--host", f"smtp.{DOMAIN}", "--no-probe")
    program.run(*gateway, "--username", "alice", "--password-stdin", stdin="secret")
    found = program.run("explain", ALICE, ANYBODY, CAROL)
    assert (found["way"], found["mail_from"]) == ("user-gateway", ANYBODY)
    assert found["reasons"][0] == f"{ANYBODY} is in {WHOLE}"
    _has_a_common_gateway(program)
    program.run("domain-proof", "remove", DOMAIN)
    assert program.run("explain", ALICE, ANYBODY, CAROL, status=Status.NOT_ALLOWED)["allowed"] is False
    assert program.says("domain-proof", "list") == "no domain is proven\n"


def _has_a_common_gateway(program: Program) -> None:
    """One address of the domain, of all users, and what they see of it who send as it."""
    to = (SALES, "--ou", "/")
    program.run("address-grant", "add", *to)
    server = ("--host", f"smtp.{DOMAIN}", "--username", "common-user", "--password-stdin", "--no-probe")
    made = program.run("address-grant", "gateway", "set", *to, *server, stdin="common-secret")
    assert (made["gateway"]["host"], made["gateway"]["username"]) == (f"smtp.{DOMAIN}", "common-user")
    moved = ("--host", "smtp.elsewhere.example", "--no-probe")
    assert "does not follow to" in program.fails(Status.USAGE, "address-grant", "gateway", "set", *to, *moved)
    program.run("address-grant", "gateway", "set", *to, "--port", "2587", "--no-probe")
    found = program.run("explain", BOB, SALES, CAROL)
    assert (found["way"], found["queue"], found["gateway"]["port"]) == ("user-gateway", "common-gateway:2", 2587)
    assert found["reasons"][1].endswith(f"has the common gateway smtp.{DOMAIN}:2587, set by an administrator")
    assert found["cautions"] == []
    his = ("--as", BOB)
    seen = program.run(*his, "explain", BOB, SALES, CAROL)
    assert (seen["gateway"]["host"], seen["gateway"]["username"]) == (f"smtp.{DOMAIN}", "")
    for command in (("set", *to, *moved), ("test", *to), ("clear", *to)):
        program.fails(Status.NOT_ALLOWED, *his, "address-grant", "gateway", *command)
    assert "administrators try the common one" in program.fails(Status.NOT_FOUND, *his, "sendas", "test", BOB, SALES)
    shown = program.says(*his, "sendas", "list", BOB)
    assert f"smtp.{DOMAIN} (set by an administrator)" in shown
    assert "common-user" not in shown + program.says(*his, "sendas", "show", BOB, SALES)
    told = program.says("gateway", "show", SALES)
    assert f"The common gateway of {SALES} (/)." in told
    assert "gateway" in program.says("address-grant", "gateway", "clear", *to)
    assert program.run("explain", BOB, SALES, CAROL)["gateway"] is None
    program.fails(Status.NOT_FOUND, "address-grant", "gateway", "test", *to)
