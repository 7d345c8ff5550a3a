"""Delivery's ledger: every recipient that this process has a lease on, at what stage it is, and what follows from that.

It alone says whether there is room for more, whose leases are to be renewed, what was leased to us and is not known
here, and how old the decisions are that are being acted on. Knows no socket, no database and no clock; whoever steps a
recipient through its stages in a wrong order has a bug, and hears of it (ValueError).

    reserved ──► undecided ──► waiting ──► under way ──► settling ──► gone
                     ▲             │           │
                     └─────────────┴───────────┘   the way no longer holds: decided again
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar

from outgate.deliver.delivery import Delivery
from outgate.model import QueueKey
from outgate.queue import Item, Put, Room
from outgate.queue.entry import room_of

K = TypeVar("K")
Key = tuple[int, int]  # message id, recipient's number


class Stage(StrEnum):
    """Where a recipient is on its way."""

    RESERVED = "reserved"  # its message is being stored, and will be handed over
    UNDECIDED = "undecided"  # its way is being looked for
    WAITING = "waiting"  # for a connection
    UNDER_WAY = "under way"  # is being handed over
    SETTLING = "settling"  # its outcome is being recorded


# The stages that each stage may follow.
_TO_WAITING: Final = (Stage.UNDECIDED,)
_TO_UNDER_WAY: Final = (Stage.WAITING,)
_TO_UNDECIDED: Final = (Stage.WAITING, Stage.UNDER_WAY)
_TO_SETTLING: Final = (Stage.WAITING, Stage.UNDER_WAY)


@dataclass(slots=True)
class _Held:
    stage: Stage
    queue: QueueKey
    version: int = 0  # of the directory, that its way was found under; while it is under way


class InFlight:
    """The recipients that this process holds, of at most about `places` messages."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._held: dict[Key, _Held] = {}
        self._messages: dict[int, int] = {}  # message id -> recipients
        self._parts: dict[tuple[int, QueueKey], int] = {}  # the same, by queue
        self._by_queue: dict[QueueKey, int] = {}  # messages
        self._under_way: dict[int, int] = {}  # version -> recipients
        self._left_behind: set[QueueKey] = set()

    # --- what follows ----------------------------------------------------------------------------------------

    def room(self) -> Room:
        """How many more messages may be held now, by queue."""
        return Room(self._free, dict(self._by_queue))

    def leave_behind(self, queues: Iterable[QueueKey]) -> None:
        """More waits in these queues than there was room for."""
        self._left_behind.update(queues)

    def is_hungry(self, queue: QueueKey) -> bool:
        """Whether something was left behind for which there is room again, for a good part of it: once."""
        if queue not in self._left_behind:
            return False
        if self._room_of(queue) < self._by_queue.get(queue, 0):
            return False
        self._left_behind.discard(queue)
        return True

    def message_ids(self) -> list[int]:
        """The messages whose leases are to be renewed."""
        return list(self._messages)

    def unknown(self, leased: Iterable[Key]) -> list[Key]:
        """Those of the recipients leased to us of which nobody here knows: their leases are to be given back."""
        return [key for key in leased if key not in self._held]

    def oldest_version(self, current: int) -> int:
        """The oldest version of the directory that something now under way was decided under; else the current one."""
        return min(self._under_way, default=current)

    def stage(self, message_id: int, number: int) -> Stage | None:
        """Where a recipient is; None if it is not held."""
        held = self._held.get((message_id, number))
        return held.stage if held else None

    def __len__(self) -> int:
        return len(self._held)

    # --- its stages ------------------------------------------------------------------------------------------

    def reserve(self, put: Put) -> bool:
        """Keep places for a message that is being stored, if there is room in all its recipients' queues."""
        queues = {one.queue for one in put.recipients}
        for queue in queues:
            if not self._room_of(queue):
                self.leave_behind(queues)
                return False
        for one in put.recipients:
            self._add((put.message.id, one.number), Stage.RESERVED, one.queue)
        return True

    def forget(self, put: Put) -> None:
        """It was not stored, as far as is known."""
        for one in put.recipients:
            self._remove((put.message.id, one.number), Stage.RESERVED)

    def take(self, item: Item) -> Item | None:
        """What is ours to decide of an item leased to us; None if we hold all of it already.

        A claim may bring what is held here, when a lease ran out unnoticed: that goes on as it is.
        """
        message_id = item.message.id
        taken = tuple([one for one in item.recipients if self._is_new((message_id, one.number))])
        for one in taken:
            key = (message_id, one.number)
            if reserved := self._held.get(key):
                reserved.stage = Stage.UNDECIDED
            else:
                self._add(key, Stage.UNDECIDED, one.queue)
        if len(taken) == len(item.recipients):
            return item
        return replace(item, recipients=taken) if taken else None

    def split(self, deliveries: Sequence[Delivery]) -> None:
        """The recipients' ways are found: they wait for their destinations."""
        for delivery in deliveries:
            for key in delivery.keys:
                held = self._move(key, Stage.WAITING, _TO_WAITING)
                if held.queue != delivery.route.queue:
                    self._requeue(key, held, delivery.route.queue)

    def start(self, delivery: Delivery) -> None:
        """It is handed over now, by the way that was right under its version."""
        for key in delivery.keys:
            self._begin_version(self._move(key, Stage.UNDER_WAY, _TO_UNDER_WAY), delivery.version)

    def confirm(self, delivery: Delivery, version: int) -> None:
        """The way by which it is being handed over is right under this version, too."""
        for key in delivery.keys:
            held = self._held.get(key)
            if held is None or held.stage is not Stage.UNDER_WAY:
                raise ValueError(f"recipient {key} is not {Stage.UNDER_WAY}")
            self._end_version(held)
            self._begin_version(held, version)

    def undecide(self, delivery: Delivery) -> None:
        """Its way no longer holds: another one is looked for."""
        for key in delivery.keys:
            self._move(key, Stage.UNDECIDED, _TO_UNDECIDED)

    def settle(self, delivery: Delivery) -> None:
        """It has an outcome, which is being recorded."""
        for key in delivery.keys:
            self._move(key, Stage.SETTLING, _TO_SETTLING)

    def settled(self, delivery: Delivery) -> None:
        """The outcome is recorded: it is no longer held."""
        for key in delivery.keys:
            self._remove(key, Stage.SETTLING)

    # --- bookkeeping -----------------------------------------------------------------------------------------

    @property
    def _free(self) -> int:
        return max(0, self._places - len(self._messages))

    def _room_of(self, queue: QueueKey) -> int:
        return room_of(self._free, self._by_queue.get(queue, 0))

    def _is_new(self, key: Key) -> bool:
        held = self._held.get(key)
        return held is None or held.stage is Stage.RESERVED

    def _add(self, key: Key, stage: Stage, queue: QueueKey) -> None:
        if key in self._held:
            raise ValueError(f"recipient {key} is held already, {self._held[key].stage}")
        self._held[key] = _Held(stage, queue)
        _count_up(self._messages, key[0])
        self._more(key, queue)

    def _move(self, key: Key, stage: Stage, after: tuple[Stage, ...]) -> _Held:
        held = self._held.get(key)
        if held is None or held.stage not in after:
            raise ValueError(f"recipient {key} can't be {stage}: it is {held.stage if held else 'not held'}")
        if held.stage is Stage.UNDER_WAY:
            self._end_version(held)
        held.stage = stage
        return held

    def _remove(self, key: Key, stage: Stage) -> None:
        held = self._held.get(key)
        if held is None or held.stage is not stage:
            raise ValueError(f"recipient {key} is not {stage}")
        del self._held[key]
        _count_down(self._messages, key[0])
        self._less(key, held.queue)

    def _requeue(self, key: Key, held: _Held, queue: QueueKey) -> None:
        self._less(key, held.queue)
        held.queue = queue
        self._more(key, queue)

    def _more(self, key: Key, queue: QueueKey) -> None:
        if _count_up(self._parts, (key[0], queue)):
            _count_up(self._by_queue, queue)

    def _less(self, key: Key, queue: QueueKey) -> None:
        if _count_down(self._parts, (key[0], queue)):
            _count_down(self._by_queue, queue)

    def _begin_version(self, held: _Held, version: int) -> None:
        held.version = version
        _count_up(self._under_way, version)

    def _end_version(self, held: _Held) -> None:
        _count_down(self._under_way, held.version)


# Plain dicts: a collections.Counter takes twice as long to add one, and deletes in Python.
def _count_up(counts: dict[K, int], key: K) -> bool:
    """One more; True if it is the first."""
    count = counts.get(key, 0)
    counts[key] = count + 1
    return not count


def _count_down(counts: dict[K, int], key: K) -> bool:
    """One less; True if none is left."""
    count = counts[key] - 1
    if count:
        counts[key] = count
    else:
        del counts[key]
    return not count
