"""presets.toml: every entry, and how a provider is found."""

import tomllib
from collections import Counter
from importlib import resources

import pytest
from pydantic import ValidationError

from outgate.config import EgressSettings
from outgate.discovery.candidates import UserName
from outgate.discovery.presets import Preset, Presets, shipped
from outgate.mail.addresses import canonical_domain
from outgate.model import Security
from outgate.oauth import providers

TEXT = resources.files("outgate.discovery").joinpath("presets.toml").read_text(encoding="utf-8")
ENTRIES = tomllib.loads(TEXT)["provider"]
EXPECTED = {
    "alice@gmail.com": "smtp.gmail.com",
    "alice@hotmail.it": "smtp-mail.outlook.com",
    "alice@yahoo.it": "smtp.mail.yahoo.com",
    "alice@icloud.com": "smtp.mail.me.com",
    "alice@fastmail.com": "smtp.fastmail.com",
    "alice@gmx.de": "mail.gmx.net",
    "alice@gmx.com": "mail.gmx.com",
    "alice@web.de": "smtp.web.de",
    "alice@aruba.it": "smtps.aruba.it",
    "alice@pec.it": "smtps.pec.aruba.it",
    "alice@libero.it": "smtp.libero.it",
    "alice@tiscali.it": "smtp.tiscali.it",
    "alice@zoho.eu": "smtp.zoho.eu",
    "alice@mailbox.org": "smtp.mailbox.org",
    "alice@mail.ru": "smtp.mail.ru",
    "alice@yandex.com": "smtp.yandex.com",
}
EXCHANGERS = {
    "smtp.google.com": "smtp.gmail.com",
    "aspmx.l.google.com": "smtp.gmail.com",
    "alt1.aspmx.l.google.com": "smtp.gmail.com",
    "dominiopartner-it.mail.protection.outlook.com": "smtp.office365.com",
    "dominiopartner-it.a-v1.mx.microsoft": "smtp.office365.com",
    "outlook-com.olc.protection.outlook.com": "smtp-mail.outlook.com",
    "mx01.mail.icloud.com": "smtp.mail.me.com",
    "in1-smtp.messagingengine.com": "smtp.fastmail.com",
    "mx00.ionos.it": "smtp.ionos.it",
    "mx01.kundenserver.de": "smtp.ionos.de",
    "mx1.mail.ovh.net": "ssl0.ovh.net",
    "spool.mail.gandi.net": "mail.gandi.net",
    "aspmx1.migadu.com": "smtp.migadu.com",
    "mail.protonmail.ch": "smtp.protonmail.ch",
    "mx.zoho.eu": "smtppro.zoho.eu",
    "mta-gw.infomaniak.ch": "mail.infomaniak.com",
    "mxext1.mailbox.org": "smtp.mailbox.org",
    "mail.register.it": "authsmtp.securemail.pro",
    "mx.pec.aruba.it": "smtps.pec.aruba.it",
    "mx.aruba.it": "smtps.aruba.it",
    "smtpin.rzone.de": "smtp.strato.de",
    "google.com": "smtp.gmail.com",
    "notgoogle.com": None,
    "google.com.evil.example": None,
    "com": None,
    "": None,
}


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["name"] for entry in ENTRIES])
def test_each_preset_is_valid_and_can_be_used(entry: dict[str, object]) -> None:
    preset = Preset.model_validate(entry)
    assert (preset.port, preset.security) in {(465, Security.SSL), (587, Security.STARTTLS)}
    assert preset.port in EgressSettings().ports
    names = (preset.host, *preset.domains, *preset.mx)
    assert [canonical_domain(name) for name in names] == list(names)
    assert not preset.host.replace(".", "").isdigit()
    assert len(preset.hint) <= 120
    assert not preset.hint.endswith(".")


@pytest.mark.parametrize("key", ["domains", "mx"])
def test_no_domain_belongs_to_two_providers(key: str) -> None:
    times = Counter(name for entry in ENTRIES for name in entry.get(key, ()))
    assert {name for name, count in times.items() if count > 1} == set()


def test_no_provider_is_there_twice() -> None:
    assert len({entry["name"] for entry in ENTRIES}) == len(ENTRIES) >= 30
    assert len({(entry["host"], entry["port"]) for entry in ENTRIES}) == len(ENTRIES)


def test_who_is_signed_in_with_is_known() -> None:
    named = {preset.sign_in for preset in shipped().all} - {""}
    assert named == {"google", "microsoft"}
    assert named <= set(providers.shipped())


@pytest.mark.parametrize("address", EXPECTED)
def test_a_provider_is_found_by_its_domain(address: str) -> None:
    preset = shipped().by_domain(address.partition("@")[2])
    assert preset
    assert preset.host == EXPECTED[address]


@pytest.mark.parametrize("host", EXCHANGERS)
def test_a_provider_is_betrayed_by_its_exchangers(host: str) -> None:
    preset = shipped().by_exchanger(host)
    assert (preset.host if preset else None) == EXCHANGERS[host]


def test_the_longest_ending_decides_whatever_the_order() -> None:
    wide = Preset(name="wide", mx=("mail.example",), host="wide.example", port=465, security=Security.SSL)
    narrow = Preset(name="narrow", mx=("pec.mail.example",), host="narrow.example", port=465, security=Security.SSL)
    for order in ((wide, narrow), (narrow, wide)):
        assert Presets(order).by_exchanger("mx.pec.mail.example") is narrow
        assert Presets(order).by_exchanger("mx.mail.example") is wide


def test_some_take_the_local_part_as_user_name() -> None:
    preset = shipped().by_domain("web.de")
    assert preset
    assert preset.username is UserName.LOCAL_PART


@pytest.mark.parametrize(
    "wrong",
    [{"domains": (), "mx": ()}, {"host": "UPPER.example"}, {"port": 0}, {"security": "tls"}, {"user": "x"}],
)
def test_a_wrong_entry_is_not_taken(wrong: dict[str, object]) -> None:
    right = {"name": "one", "domains": ("one.example",), "host": "smtp.one.example", "port": 465, "security": "ssl"}
    Preset.model_validate(right)
    with pytest.raises(ValidationError):
        Preset.model_validate(right | wrong)
