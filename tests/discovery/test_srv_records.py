"""SRV records read: order, what is not offered, whose host it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.discovery import srv
from outgate.discovery.candidates import DiscoveryOutcome, Sought
from outgate.discovery.srv import SrvRecord
from outgate.model import Security

ALICE = Sought.of("alice@dominiopartner.example")


def _hosts(*records: SrvRecord) -> list[str]:
    return [one.host for one in srv.read(records, Security.SSL, ALICE)[1]]


def test_the_lowest_priority_is_first_then_the_heaviest() -> None:
    records = (
        SrvRecord(20, 100, 465, "late.example."),
        SrvRecord(10, 1, 465, "light.example."),
        SrvRecord(10, 60, 465, "heavy.example."),
        SrvRecord(10, 0, 465, "weightless.example."),
    )
    assert _hosts(*records) == ["heavy.example", "light.example", "weightless.example", "late.example"]


def test_a_root_target_says_that_it_is_not_offered() -> None:
    assert srv.read([SrvRecord(0, 0, 0, ".")], Security.SSL, ALICE) == (DiscoveryOutcome.NOT_OFFERED, ())


def test_no_record_is_nothing() -> None:
    assert srv.read([], Security.SSL, ALICE) == (DiscoveryOutcome.NOTHING, ())


@pytest.mark.parametrize("record", [SrvRecord(0, 0, 0, "smtp.example."), SrvRecord(0, 0, 465, "a b.example.")])
def test_a_record_that_names_no_server_is_unusable(record: SrvRecord) -> None:
    assert srv.read([record], Security.SSL, ALICE) == (DiscoveryOutcome.UNUSABLE, ())


@pytest.mark.parametrize(
    ("target", "confirm"),
    [
        ("smtp.dominiopartner.example.", False),
        ("dominiopartner.example.", False),
        ("SMTP.DominioPartner.Example.", False),
        ("smtp.provider.example.", True),
        ("evildominiopartner.example.", True),
        ("dominiopartner.example.evil.example.", True),
    ],
)
def test_a_target_outside_the_domain_is_to_be_confirmed(target: str, confirm: bool) -> None:
    _, [candidate] = srv.read([SrvRecord(0, 0, 587, target)], Security.STARTTLS, ALICE)
    assert candidate.confirm is confirm
    assert candidate.username == "alice@dominiopartner.example"
    assert candidate.security is Security.STARTTLS


def test_of_very_many_only_the_best_are_taken() -> None:
    records = [SrvRecord(n, 0, 465, f"smtp{n}.example.") for n in reversed(range(2000))]
    assert _hosts(*records) == [f"smtp{n}.example" for n in range(srv.MAX_SERVERS)]


NUMBERS = st.integers(0, 65535)
TARGETS = st.one_of(
    st.just("."), st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){0,2}\.", fullmatch=True), st.text(max_size=20)
)
RECORDS = st.lists(st.builds(SrvRecord, NUMBERS, NUMBERS, NUMBERS, TARGETS), max_size=8)


@given(records=RECORDS, data=st.data())
def test_any_records_give_ordered_usable_candidates(records: list[SrvRecord], data: st.DataObject) -> None:
    outcome, candidates = srv.read(records, Security.SSL, ALICE)
    shuffled = data.draw(st.permutations(records))
    assert srv.read(shuffled, Security.SSL, ALICE) == (outcome, candidates)
    assert (outcome is DiscoveryOutcome.FOUND) == bool(candidates)
    assert len(candidates) <= len(records)
    for one in candidates:
        assert 0 < one.port <= 65535
        assert one.host
        assert one.host.strip(".").isascii()
        assert not one.host.endswith(".")
        assert one.confirm
    # Of two names that are there once each, the better priority comes first.
    names = [record.target.rstrip(".").lower() for record in records]
    once = {name: record.priority for name, record in zip(names, records, strict=True) if names.count(name) == 1}
    found = [once[one.host] for one in candidates if one.host in once]
    assert found == sorted(found)
