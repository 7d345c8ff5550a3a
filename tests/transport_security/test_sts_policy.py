"""MTA-STS policies and their announcements, as texts (RFC 8461 sections 3.1, 3.2 and 4.1)."""

import pytest

from outgate.transport_security.sts_policy import MAX_AGE, StsMode, StsPolicy, StsPolicyError, announced

POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mail.peer.example\r\nmx: *.peer.net\r\nmax_age: 86400\r\n"


def test_a_policy_is_read() -> None:
    assert StsPolicy.parse(POLICY) == StsPolicy(StsMode.ENFORCE, 86400, ("mail.peer.example", "*.peer.net"))


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("\r\n", "\n"),  # line ends of one kind or the other
        ("mode: enforce", "mode:enforce  "),
        ("mode: enforce", "mode: enforce\r\nmode: none"),  # the first counts
        ("version", "future: mode\r\nversion"),  # what is not known is passed over
        ("mail.peer.example", "MAIL.Peer.Example."),
    ],
)
def test_what_may_be_written_in_other_ways_means_the_same(change: str, to: str) -> None:
    assert StsPolicy.parse(POLICY.replace(change, to)) == StsPolicy.parse(POLICY)


@pytest.mark.parametrize(
    ("change", "to", "why"),
    [
        ("STSv1", "STSv2", "version"),
        ("enforce", "strict", "mode"),
        ("max_age: 86400", "max_age: soon", "max_age"),
        ("max_age: 86400", "max_age: -1", "max_age"),
        ("max_age: 86400", "", "max_age"),
        ("mx: mail.peer.example\r\nmx: *.peer.net\r\n", "", "no mx"),
        ("mail.peer.example", "not a domain", "not a domain"),
        ("mail.peer.example", "mail.*.example", "not a domain"),
        ("mail.peer.example", "", "not a domain"),
        ("mx: mail.peer.example\r\n", "mx: a.example\r\n" * 1001, "more than 1000"),
        (POLICY, "<!doctype html>", "version"),
        (POLICY, "", "version"),
    ],
)
def test_what_is_no_policy_is_refused_with_the_reason(change: str, to: str, why: str) -> None:
    with pytest.raises(StsPolicyError, match=why):
        StsPolicy.parse(POLICY.replace(change, to))


def test_a_policy_that_ends_others_names_no_exchanger() -> None:
    assert StsPolicy.parse("version: STSv1\nmode: none\nmax_age: 60\n") == StsPolicy(StsMode.NONE, 60)


def test_a_policy_lasts_for_a_year_at_most() -> None:
    assert StsPolicy.parse(POLICY.replace("86400", "9999999999")).max_age == MAX_AGE


@pytest.mark.parametrize(
    ("exchanger", "named"),
    [
        ("mail.peer.example", True),
        ("MAIL.peer.example.", True),
        ("mail2.peer.example", False),
        ("a.peer.net", True),
        ("a.b.peer.net", False),  # a star is one label
        ("peer.net", False),
        ("xpeer.net", False),
        ("xn--bcher-kva.example", True),
        ("mx.xn--bcher-kva.example", True),
    ],
)
def test_exchangers_are_matched_label_by_label_and_in_unicode_too(exchanger: str, named: bool) -> None:
    policy = StsPolicy.parse(POLICY + "mx: bücher.example\nmx: *.Bücher.example\n")
    assert policy.names(exchanger) is named


@pytest.mark.parametrize(
    ("records", "ident"),
    [
        (["v=STSv1; id=20261128T000000;"], "20261128T000000"),
        (["v=STSv1;id=a"], "a"),
        (["v=STSv1 ; future=x; id=a"], "a"),
        (["v=spf1 -all", "v=STSv1; id=a"], "a"),
        (["v=STSv1; id=a; id=b"], "a"),
        ([], None),
        (["v=STSv1; id=a", "v=STSv1; id=b"], None),
        (["v=STSv1"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=a_b"], None),
        ([f"v=STSv1; id={'a' * 33}"], None),
        (["v=STSv11; id=a"], None),
        (["id=a; v=STSv1"], None),
    ],
)
def test_a_policy_is_announced_by_exactly_one_record_with_an_id(records: list[str], ident: str | None) -> None:
    assert announced(records) == ident
