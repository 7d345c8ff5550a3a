"""What a program sends as JSON is refused by name where no database could keep it: before anything is done."""

import pytest

from outgate.api.answering import parsed
from outgate.api.api_method import Resource
from outgate.api.google_error import ApiError
from outgate.api.own_domains import WantedGateway
from outgate.api.own_holding_back import CeilingResource, Suspension
from outgate.api.own_queue_resources import QueueSelection
from outgate.directory.errors import Invalid
from outgate.operations.restriction_operations import MOST_CONNECTIONS, Ceiling


@pytest.mark.parametrize(
    ("body", "kind", "name"),
    [
        (rb'{"reason": "\ud800"}', Suspension, "reason"),
        (rb'{"reason": "a\udc00b\u00e9"}', Suspension, "reason"),
        (b'{"reason": "\xed\xa0\x80"}', Suspension, "reason"),
        (rb'{"reason": "a\u0000b"}', Suspension, "reason"),
        (rb'{"address": "\ud800", "dryRun": true}', QueueSelection, "address"),
        (rb'{"host": "localhost", "port": 25, "username": "u", "password": "\ud800"}', WantedGateway, "password"),
        (rb'{"reason": "why", "rates": ["300/hour", "\ud800"]}', CeilingResource, "rates.1"),
        (b'{"reason": "why", "connections": 100000000000000000000}', CeilingResource, "connections"),
        (b'{"reason": "why", "seconds": NaN}', Suspension, "seconds"),
        (b'{"reason": "why", "seconds": 1e400}', Suspension, "seconds"),
        (rb'{"\ud800": "an unknown name"}', Suspension, "?"),
    ],
)
def test_what_no_database_keeps_is_refused_by_its_name(body: bytes, kind: type[Resource], name: str) -> None:
    with pytest.raises(ApiError) as refused:
        parsed(body, kind)
    assert refused.value.code == 400
    assert refused.value.message.startswith(f"Invalid value at '{name}': ")


def test_all_other_texts_and_numbers_are_taken() -> None:
    for reason in ("", "a\tb\n", "caffè", "😀", "\ue000", "\uffff"):
        assert parsed(Suspension(reason=reason).model_dump_json().encode(), Suspension) == Suspension(reason=reason)
    assert parsed(rb'{"reason": "\ud83d\ude00"}', Suspension) == Suspension(reason="😀")  # a whole pair
    with pytest.raises(ApiError, match="not JSON"):
        parsed(b"[" * 100_000, Suspension)
    with pytest.raises(ApiError, match="must be an object"):
        parsed(b"[]", Suspension)


def test_a_ceiling_is_of_as_many_connections_as_a_column_holds() -> None:
    assert Ceiling(MOST_CONNECTIONS).connections == MOST_CONNECTIONS < 2**31
    for number in (MOST_CONNECTIONS + 1, 3_000_000_000, 10**20):
        with pytest.raises(Invalid, match=f"at most {MOST_CONNECTIONS} connections"):
            Ceiling(number)
