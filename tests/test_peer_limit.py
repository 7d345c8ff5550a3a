"""How many may be in at once."""

from hypothesis import given
from hypothesis import strategies as st

from outgate.peer import network_of
from outgate.peer_limit import PeerLimit


def test_one_peer_leaves_room_for_others() -> None:
    limit = PeerLimit(per_peer=2, total=3)
    assert [limit.enter("a"), limit.enter("a"), limit.enter("a")] == [True, True, False]
    assert [limit.enter("b"), limit.enter("c")] == [True, False]
    limit.leave("a")
    assert [limit.enter("a"), limit.enter("a")] == [True, False]


def test_an_exempt_peer_may_have_all_there_is() -> None:
    limit = PeerLimit(per_peer=1, total=3)
    assert [limit.enter("proxy", exempt=True) for _ in range(4)] == [True, True, True, False]


def test_addresses_of_one_ipv6_network_are_one_peer() -> None:
    limit = PeerLimit(per_peer=1)
    came = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1", "::ffff:192.0.2.1", "192.0.2.2"]
    assert [limit.enter(network_of(address)) for address in came] == [True, False, True, True, False]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"))))
def test_never_are_more_in_than_allowed_and_none_is_forgotten(steps: list[tuple[bool, str]]) -> None:
    limit, inside = PeerLimit(per_peer=2, total=4), list[str]()
    for comes, peer in steps:
        if comes:
            has_room = inside.count(peer) < 2 and len(inside) < 4
            assert limit.enter(peer) is has_room
            inside += [peer] * has_room
        elif peer in inside:
            inside.remove(peer)
            limit.leave(peer)
