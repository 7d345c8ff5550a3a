"""`outgate sendas advise`, with a real DNS server on loopback."""

from collections.abc import Iterator

import pytest

from advisor.asking import GATEWAY, ORGANISATION
from advisor.zone import Zone, serving
from cli.program import ALICE, PARTNER, SWITCH, Program
from outgate.cli.status import Status

REFUSED = "dominiopartner.example publishes p=reject: without its own server this mail will be refused"
ZONE = f"""{ORGANISATION}
_dmarc.dominiopartner.example. 60 IN TXT "v=DMARC1; p=reject"
dominiopartner.example. 60 IN TXT "v=spf1 a:{GATEWAY} -all"
{GATEWAY}. 60 IN A 198.51.100.7
"""


@pytest.fixture
def zone(program: Program) -> Iterator[Zone]:
    with serving(ZONE, servfail=frozenset({"_dmarc.broken.example"})) as served:
        file = program.data / "outgate.toml"
        file.write_text(file.read_text().replace("#nameservers =", f'nameservers = ["{served.nameserver}"] #'))
        yield served


def test_the_advice_stands_on_the_first_line(program: Program, zone: Zone) -> None:
    text = program.says("sendas", "advise", ALICE, PARTNER)
    assert text.splitlines()[0] == f"{REFUSED}."
    assert f"  shown as   {PARTNER} on behalf of {ALICE}" in text.splitlines()
    assert f"  Outlook    {ALICE} on behalf of {PARTNER}" in text.splitlines()


def test_json_has_both_ways(program: Program, zone: Zone) -> None:
    program.run("policy", "set", SWITCH, "on")
    row = program.run("sendas", "advise", ALICE, PARTNER, "--host", GATEWAY)
    assert row["dmarc_policy"]["policy"] == "reject"
    assert (row["organisation"]["dmarc"], row["organisation"]["mail_from"]) == ("fail", ALICE)
    assert (row["gateway"]["dmarc"], row["gateway"]["mail_from"], row["gateway"]["estimate"]) == ("pass", PARTNER, True)
    assert row["gateway"]["spf_addresses"] == [{"address": "198.51.100.7", "result": "pass", "explanation": ""}]
    assert row["advice"].startswith("dominiopartner.example publishes p=reject: through its own server")


def test_a_gateway_that_policy_forbids_is_shown_so(program: Program, zone: Zone) -> None:
    row = program.run("sendas", "advise", ALICE, PARTNER, "--host", GATEWAY)
    assert row["gateway"]["allowed"] is False
    assert "allowUsersToUseExternalSmtpServers is off" in row["gateway"]["refused"]
    assert "not allowed now" in program.says("sendas", "advise", ALICE, PARTNER, "--host", GATEWAY)


def test_the_users_language_is_used_unless_another_is_asked_for(program: Program, zone: Zone) -> None:
    program.run("user", "edit", ALICE, "--language", "it")
    assert "sarà rifiutata" in program.run("sendas", "advise", ALICE, PARTNER)["advice"]
    assert program.run("sendas", "advise", ALICE, PARTNER, "--language", "en")["advice"] == REFUSED


def test_an_own_address_is_told_of_its_missing_key(program: Program, zone: Zone) -> None:
    row = program.run("sendas", "advise", ALICE, ALICE)
    assert (row["organisation"]["spf"], row["organisation"]["dkim"]) == ("pass", "key-missing")
    assert "publish the DKIM key outgate" in row["advice"]
    other = program.run("sendas", "advise", ALICE, ALICE, "--address", "203.0.113.9")
    assert (other["organisation"]["spf"], other["organisation"]["dmarc"]) == ("fail", "fail")


def test_what_the_dns_did_not_answer_is_said(program: Program, zone: Zone) -> None:
    row = program.run("sendas", "advise", ALICE, "alice@broken.example")
    assert row["dmarc_policy"] == {"unanswered": "_dmarc.broken.example", "reason": "SERVFAIL"}
    assert "can't be said now" in row["advice"]


def test_bad_input_has_its_statuses(program: Program, zone: Zone) -> None:
    program.fails(Status.NOT_FOUND, "sendas", "advise", "nobody@example.com", PARTNER)
    program.fails(Status.INVALID, "sendas", "advise", ALICE, "no address")
    program.fails(Status.INVALID, "sendas", "advise", ALICE, PARTNER, "--host", "no host")
    assert "no IP address" in program.fails(Status.USAGE, "sendas", "advise", ALICE, ALICE, "--address", "1.2.3")
    assert "en, it" in program.fails(Status.USAGE, "sendas", "advise", ALICE, ALICE, "--language", "fr")


def test_adding_an_address_warns_by_name_where_its_domain_asks_for_refusal(program: Program, zone: Zone) -> None:
    assert program.run("sendas", "add", ALICE, PARTNER)["warning"] == REFUSED
    program.run("sendas", "delete", ALICE, PARTNER)
    assert f"warning: {REFUSED}" in program.says("sendas", "add", ALICE, PARTNER).splitlines()
    program.run("policy", "set", SWITCH, "on")
    other, host = "other@dominiopartner.example", ("--host", GATEWAY)
    program.run("sendas", "add", ALICE, other, *host, "--no-probe")
    assert program.run("sendas", "show", ALICE, other)["gateway"]["host"] == GATEWAY
    for unwarned in ("a@relaxed.example", "a@broken.example", "shop@example.com"):
        assert program.run("sendas", "add", ALICE, unwarned)["warning"] is None
