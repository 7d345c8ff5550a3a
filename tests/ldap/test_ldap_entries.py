"""Entries as users: what a real directory gives, and whatever else it might."""

import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldap.slapd import BASE, PEOPLE, Slapd, person
from outgate.config import Config, ConfigError, LdapSettings
from outgate.demo.certificates import Authority
from outgate.ldap.entries import Fault, LdapEntry, locate, parse, search
from outgate.ldap.ldap_client import LdapClient, LdapUnavailable

OPEN_LDAP = LdapSettings(url="ldaps://x", base=PEOPLE)
ACTIVE_DIRECTORY = LdapSettings(url="ldaps://x", base=PEOPLE, id_attribute="objectGUID", unit_attribute="department")
GOOD = {"entryUUID": [b"1"], "mail": [b"Alice@Example.COM"], "cn": [b"Alice"]}
NewClient = Callable[..., LdapClient]


@pytest.fixture
def client(tmp_path: Path, settings: dict[str, object]) -> NewClient:
    """A client by the fixture's settings, with these changes."""
    return lambda **changes: LdapClient(Config(data=tmp_path, ldap=LdapSettings.model_validate(settings | changes)))


def found_by(client: LdapClient) -> tuple[list[LdapEntry], list[Fault]]:
    with client.connected() as connection:
        found = list(search(connection, client.settings))
    return [one for one in found if isinstance(one, LdapEntry)], [one for one in found if isinstance(one, Fault)]


# --- one entry -------------------------------------------------------------------------------------------------------


def test_an_entry_is_a_user_with_a_compared_address() -> None:
    assert parse(b"uid=alice", GOOD, OPEN_LDAP) == LdapEntry("1", "uid=alice", "alice@example.com", "Alice")


def test_active_directorys_ids_flags_and_departments() -> None:
    guid = UUID("00112233-4455-6677-8899-aabbccddeeff")
    values = {"objectguid": [guid.bytes_le], "MAIL": GOOD["mail"], "department": ["/Citta\u0300".encode()]}
    found = parse(b"CN=Alice", values | {"userAccountControl": [b"514"]}, ACTIVE_DIRECTORY)
    assert found == LdapEntry(str(guid), "CN=Alice", "alice@example.com", "", "/Citt\xe0", disabled=True)


@pytest.mark.parametrize(
    ("attribute", "values", "disabled"),
    [
        ("userAccountControl", [b"512"], False),
        ("userAccountControl", [b"9" * 5000], False),
        ("pwdAccountLockedTime", [b"000001010000Z"], True),
        ("pwdAccountLockedTime", [b"20260101000000Z"], False),
        ("nsAccountLock", [b"TRUE"], True),
    ],
)
def test_who_is_disabled(attribute: str, values: list[bytes], disabled: bool) -> None:
    found = parse(b"uid=alice", {**GOOD, attribute: values}, OPEN_LDAP)
    assert isinstance(found, LdapEntry)
    assert found.disabled is disabled


@pytest.mark.parametrize(
    ("attribute", "values", "says"),
    [
        ("mail", [], "0 values of mail"),
        ("mail", [b"a@example.com", b"b@example.com"], "2 values of mail"),
        ("mail", [b"no address"], "mail: "),
        ("mail", [b"a@example.com\r\nBcc: x@example.com"], "can't be printed"),
        ("mail", [b"\xff@example.com"], "not UTF-8"),
        ("cn", [b"Alice\0"], "can't be printed"),
        ("cn", [b"x" * 2**20], "1048576 bytes"),
        ("entryUUID", [b""], "0 bytes"),
    ],
)
def test_a_fault_names_the_attribute_and_quotes_nothing_long(attribute: str, values: list[bytes], says: str) -> None:
    found = parse(b"uid=alice", {**GOOD, attribute: values}, OPEN_LDAP)
    assert isinstance(found, Fault)
    assert says in found.text
    assert len(found.text) < 300
    assert found.text.isprintable()


@given(
    st.binary(),
    st.dictionaries(st.sampled_from(["mail", "cn", "entryUUID", "objectGUID", "department"]), st.lists(st.binary())),
    st.sampled_from([OPEN_LDAP, ACTIVE_DIRECTORY]),
)
def test_nothing_that_a_directory_holds_is_an_error_of_ours(
    dn: bytes, values: Mapping[str, list[bytes]], settings: LdapSettings
) -> None:
    found = parse(dn, values, settings)
    assert found.dn.isprintable() or isinstance(found, LdapEntry)


# --- a real directory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["ldaps", "ldap", "ldapi"])
def test_all_ways_lead_to_the_directory(client: NewClient, slapd: Slapd, scheme: str) -> None:
    users, faults = found_by(client(url=getattr(slapd, scheme)))
    assert ({user.address for user in users}, faults) == ({f"user{n}@example.com" for n in range(30)}, [])


def test_more_than_a_page_is_found_whole(client: NewClient, slapd: Slapd) -> None:
    slapd.add(*(person(f"many{number}") for number in range(1200)))
    users, faults = found_by(client())
    assert (len({user.id for user in users}), faults) == (1230, [])


def test_an_answer_that_is_cut_short_is_no_answer(client: NewClient, slapd: Slapd) -> None:
    """Who is not in it would be suspended. This directory gives 1,500 entries in all."""
    slapd.add(*(person(f"many{number}") for number in range(1500)))
    with pytest.raises(LdapUnavailable, match=r"failed: .*Limit"):
        found_by(client())


def test_hostile_entries_cost_only_themselves(client: NewClient, slapd: Slapd) -> None:
    slapd.add(
        person("nul", cn=b"N\0L"),
        person("big", cn=b"x" * 2**20),
        person("two", mail=("a@example.com", "b@example.com")),
        person("none", mail="not an address"),
        ("uid=\\2a\\29\\28uid=\\2a\\2c\\00,ou=people,dc=example,dc=com", dict(person("x", uid=b"*)(uid=*,\0")[1])),
        (
            f"cn=elsewhere,{PEOPLE}",
            {"objectClass": ("referral", "extensibleObject"), "cn": "elsewhere", "ref": "ldap://127.0.0.1:1/x"},
        ),
    )
    users, faults = found_by(client())
    assert len(faults) == 4
    strange = next(user for user in users if user.address == "x@example.com")
    assert len(users) == 31
    with client().connected() as connection:
        assert locate(connection, client().settings, strange.id, strange.dn) == strange
        assert client().proves(connection, strange.dn, b"password of x")


def test_an_id_of_any_bytes_is_found_again(client: NewClient, slapd: Slapd) -> None:
    """Active Directory's ids are bytes, among them those that a filter is made of."""
    raw = b"\0*()\\|&!=~<>\xff\xfe12"
    slapd.add(person("ad", objectClass=("inetOrgPerson", "adUser"), objectGUID=raw, userAccountControl="512"))
    made = client(id_attribute="objectGUID", filter="(objectClass=adUser)")
    (user,), faults = found_by(made)
    assert (user.id, faults) == (str(UUID(bytes_le=raw)), [])
    with made.connected() as connection:
        assert locate(connection, made.settings, user.id, "uid=moved,dc=example,dc=com") == user


# --- how it is reached -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
def test_a_certificate_for_another_name_is_refused(client: NewClient, slapd: Slapd, scheme: str) -> None:
    url = getattr(slapd, scheme).replace("localhost", "127.0.0.2")
    with pytest.raises(LdapUnavailable, match="certificate verify failed"):
        found_by(client(url=url))


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
def test_a_certificate_of_another_authority_is_refused(
    client: NewClient, slapd: Slapd, tmp_path: Path, scheme: str
) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(LdapUnavailable, match="certificate verify failed"):
        found_by(client(url=getattr(slapd, scheme), ca_file=str(Authority(tmp_path / "other").ca_file)))


def test_nothing_is_sent_to_a_server_without_starttls(client: NewClient, slapd_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "plain-ca").mkdir()
    plain = Slapd(slapd_folder / "plain", Authority(tmp_path / "plain-ca"), tls=False)
    plain.start()
    try:
        plain.seed(1)
        with pytest.raises(LdapUnavailable, match=r"(?i)start ?tls"):
            found_by(client(url=plain.ldap))
        assert len(found_by(client(url=plain.ldapi))[0]) == 1
    finally:
        plain.stop()


def test_who_searches_must_log_in(client: NewClient, slapd: Slapd) -> None:
    with pytest.raises(LdapUnavailable, match=r"bind as cn=nobody.*invalidCredentials"):
        found_by(client(bind_dn=f"cn=nobody,{BASE}"))


def test_a_password_file_that_others_can_read_is_refused(client: NewClient, slapd: Slapd) -> None:
    for mode, says in ((0o640, "chmod 600"), (0o604, "chmod 600")):
        slapd.secret_file.chmod(mode)
        with pytest.raises(LdapUnavailable, match=says):
            found_by(client())
    slapd.secret_file.chmod(stat.S_IRUSR)
    slapd.secret_file.unlink()
    with pytest.raises(LdapUnavailable, match="No such file"):
        found_by(client())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"url": "http://localhost"}, "ldaps://host"),
        ({"url": "ldaps://"}, "ldaps://host"),
        ({"url": "ldaps://host:port"}, "ldaps://host"),
        ({"url": "ldaps://host/dc=example"}, "ldaps://host"),
        ({"base": ""}, "ldap.base"),
        ({"bind_password_file": None}, "ldap.bind_password_file"),
    ],
)
def test_settings_that_can_not_work_are_named(client: NewClient, changes: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        client(**changes)
