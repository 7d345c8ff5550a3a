"""The ledger against a model of the database: whatever happens in whatever order, nothing is lost, nothing is held
twice, and no lease is forgotten.
"""

from collections import Counter
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deliver.ledger import delivery, item, message, put, queue, recipients
from outgate.deliver.delivery import Delivery
from outgate.deliver.inflight import InFlight, Key, Stage
from outgate.queue import Item

PLACES = 12
QUEUES = st.sampled_from(["a", "b", "c", "d"])


@dataclass(slots=True)
class Row:
    """A recipient in the database."""

    queue: str
    leased: bool
    due: bool = True


class Ledger(RuleBasedStateMachine):
    """One process that delivers, its database, and everything that may go wrong between them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[Key, Row] = {}
        self.put: set[Key] = set()  # all that were ever acknowledged
        self.done: Counter[Key] = Counter()  # outcomes that were committed
        self.number = 0
        self.version = 1
        self._begin()

    def _begin(self) -> None:
        self.ledger = InFlight(PLACES)
        self.undecided: list[Item] = []
        self.waiting: list[Delivery] = []
        self.under_way: list[Delivery] = []
        self.settling: list[Delivery] = []

    # --- arriving --------------------------------------------------------------------------------------------

    @rule(names=st.lists(QUEUES, min_size=1, max_size=4), stored=st.sampled_from(["yes", "no", "unknown, but yes"]))
    def submit(self, names: list[str], stored: str) -> None:
        self.number += 1
        one = item(self.number, *names)
        reserved = self.ledger.reserve(put(one))
        if stored != "no":
            for number, name in enumerate(names):
                self.rows[self.number, number] = Row(name, leased=reserved)
                self.put.add((self.number, number))
        if reserved and stored == "yes":
            self._take(one)
        elif reserved:
            self.ledger.forget(put(one))

    @rule(answer_is_lost=st.booleans())
    def claim(self, answer_is_lost: bool) -> None:
        free = {key: row for key, row in self.rows.items() if row.due and not row.leased}
        self._claim(free, answer_is_lost)

    @rule()
    def the_clock_jumps_and_all_leases_look_expired(self) -> None:
        self._claim({key: row for key, row in self.rows.items() if row.due}, answer_is_lost=False)

    def _claim(self, free: dict[Key, Row], answer_is_lost: bool) -> None:
        room = self.ledger.room()
        found: dict[int, list[tuple[int, str]]] = {}
        for (message_id, number), row in sorted(free.items()):
            key = queue(row.queue)
            if not room.of(key):
                self.ledger.leave_behind([key])
                continue
            room = room.less(key, 1)
            row.leased = True
            found.setdefault(message_id, []).append((number, row.queue))
        if not answer_is_lost:
            for message_id, parts in found.items():
                self._take(Item(message(message_id), recipients(parts)))

    def _take(self, one: Item) -> None:
        before = {
            recipient.number for recipient in one.recipients if self._is_taken((one.message.id, recipient.number))
        }
        taken = self.ledger.take(one)
        numbers = {recipient.number for recipient in taken.recipients} if taken else set()
        assert numbers == {recipient.number for recipient in one.recipients} - before
        if taken:
            self.undecided.append(taken)

    def _is_taken(self, key: Key) -> bool:
        return self.ledger.stage(*key) not in (None, Stage.RESERVED)

    @rule()
    def the_store_is_back_and_what_is_unknown_is_given_back(self) -> None:
        for key in self.ledger.unknown([key for key, row in self.rows.items() if row.leased]):
            self.rows[key].leased = False

    # --- on the way ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.undecided)
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        one = self.undecided.pop(data.draw(st.integers(0, len(self.undecided) - 1)))
        names = {recipient.number: data.draw(QUEUES) for recipient in one.recipients}
        deliveries = [
            delivery(one, [number for number, name in names.items() if name == wanted], wanted, self.version)
            for wanted in sorted(set(names.values()))
        ]
        self.ledger.split(deliveries)
        self.waiting += deliveries

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        one = self._pop(self.waiting, data)
        self.ledger.start(one)
        self.under_way.append(one)

    @rule()
    def change_policy(self) -> None:
        self.version += 1

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def the_way_no_longer_holds(self, data: st.DataObject) -> None:
        one = self._pop(self.waiting, data)
        self.ledger.undecide(one)
        self.undecided.append(Item(one.item.message, one.recipients))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def nobody_is_reached(self, data: st.DataObject) -> None:
        one = self._pop(self.waiting, data)
        self.ledger.settle(one)
        self.settling.append(one)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def the_transaction_ends_or_its_connection_does(self, data: st.DataObject) -> None:
        one = self._pop(self.under_way, data)
        self.ledger.settle(one)
        self.settling.append(one)

    # --- outcomes --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.settling)
    @rule(data=st.data(), deferred=st.booleans(), commit=st.sampled_from(["done", "failed", "answer lost"]))
    def commit(self, data: st.DataObject, deferred: bool, commit: str) -> None:
        one = self._pop(self.settling, data)
        if commit == "failed":  # tried again
            self.settling.append(one)
            return
        self._commit(one, deferred)
        self.ledger.settled(one)  # at once, or when it was found out

    def _commit(self, one: Delivery, deferred: bool) -> None:
        for key in one.keys:
            if deferred:
                self.rows[key].leased = self.rows[key].due = False
            else:
                del self.rows[key]
                self.done[key] += 1

    @rule()
    def time_passes(self) -> None:
        for row in self.rows.values():
            row.due = True

    @rule()
    def stop_and_start_again(self) -> None:
        for row in self.rows.values():
            row.leased = False
        self._begin()

    def _pop(self, where: list[Delivery], data: st.DataObject) -> Delivery:
        return where.pop(data.draw(st.integers(0, len(where) - 1)))

    # --- what must always hold -------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_nothing_has_two_outcomes(self) -> None:
        assert self.rows.keys() | self.done.keys() == self.put
        assert not self.rows.keys() & self.done.keys()
        assert not self.done or max(self.done.values()) == 1

    @invariant()
    def everything_is_held_once_and_at_its_stage(self) -> None:
        held = Counter[Key]()
        for one in self.undecided:
            held.update((one.message.id, recipient.number) for recipient in one.recipients)
        for where, stage in (
            (self.waiting, Stage.WAITING),
            (self.under_way, Stage.UNDER_WAY),
            (self.settling, Stage.SETTLING),
        ):
            for one_delivery in where:
                held.update(one_delivery.keys)
                assert {self.ledger.stage(*key) for key in one_delivery.keys} == {stage}
        assert not held or max(held.values()) == 1
        assert len(self.ledger) == len(held)
        assert set(self.ledger.message_ids()) == {key[0] for key in held}
        assert all(self.rows[key].leased for key in held), "a lease was forgotten"

    @invariant()
    def what_is_under_way_says_how_old_the_decisions_are(self) -> None:
        versions = [one.version for one in self.under_way]
        assert self.ledger.oldest_version(self.version) == min(versions, default=self.version)

    @invariant()
    def the_room_is_what_is_left(self) -> None:
        room = self.ledger.room()
        assert room.free == max(0, PLACES - len(self.ledger.message_ids()))
        parts = {
            (key[0], one.route.queue) for one in [*self.waiting, *self.under_way, *self.settling] for key in one.keys
        } | {(one.message.id, recipient.queue) for one in self.undecided for recipient in one.recipients}
        assert sum(room.held.values()) >= len({part[0] for part in parts})

    def teardown(self) -> None:
        """Whatever the state, all can be brought to its end."""
        self.the_store_is_back_and_what_is_unknown_is_given_back()
        self.time_passes()
        while self.rows:
            self._claim({key: row for key, row in self.rows.items() if not row.leased}, answer_is_lost=False)
            for one in self.undecided:
                names = sorted({recipient.queue.name for recipient in one.recipients})
                made = [
                    delivery(one, [r.number for r in one.recipients if r.queue.name == name], name, self.version)
                    for name in names
                ]
                self.ledger.split(made)
                self.waiting += made
            for moved in [*self.waiting, *self.under_way]:
                self.ledger.settle(moved)
            for ended in [*self.waiting, *self.under_way, *self.settling]:
                self._commit(ended, deferred=False)
                self.ledger.settled(ended)
            self.undecided, self.waiting, self.under_way, self.settling = [], [], [], []
        assert len(self.ledger) == 0
        assert self.done.keys() == self.put


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)  # 10,000 steps
