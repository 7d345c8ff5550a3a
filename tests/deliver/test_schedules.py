"""By which schedule what waits is tried again: the settings' one of its way, or a destination's own."""

import asyncio

import pytest
from sqlalchemy import Engine, select

from deliver.test_deliverer import CAROL, DAVE, LATER, House, Wire, until
from outgate import clock
from outgate.config import DeliverySettings, ScheduleSettings
from outgate.deliver.delivery import AttemptResult, Delivery, all_alike
from outgate.deliver.usual_schedule import longest_usual_wait, usual_schedules
from outgate.directory import own_schedules
from outgate.directory.errors import Invalid, NotFound
from outgate.directory.own_schedules import OwnSchedule
from outgate.model import ScheduleChange
from outgate.operations import schedule_operations
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext
from outgate.queue.retry import SPREAD
from outgate.route import RouteKind
from outgate.store.engine import read, write
from outgate.store.tables import recipient
from outgate.store.vault import Vault

HOUR, DAY = 3600.0, 86400.0
USUAL = usual_schedules(DeliverySettings(schedules={"local": ScheduleSettings(retry_longest=120)}))
NOW = 1_700_000_000.0
SLOW = ScheduleChange(retry_first=2 * HOUR, give_up_after=10 * DAY)
LONG = ScheduleChange(give_up_after=10 * DAY)
NO_TIME = ScheduleChange(give_up_after=0.001)


def _own(destination: str, change: ScheduleChange, until: float | None = None) -> OwnSchedule:
    return OwnSchedule(destination, change, "they said so", "root", 0.0, until)


async def _busy(delivery: Delivery) -> AttemptResult:
    return all_alike(delivery, LATER)


def _put(engine: Engine, *schedules: OwnSchedule) -> None:
    """In a thread: a group of the server's changes holds the database until its loop has written them."""
    with write(engine) as connection:
        for one in schedules:
            own_schedules.put(connection, one)


async def test_a_destination_is_tried_and_returned_by_its_own_schedule_and_others_by_the_settings(
    example: Engine,
) -> None:
    """From the next attempt after the change on, with no restart."""
    wire = Wire()
    wire.answer = _busy
    house = House(example, wire, DeliverySettings(retry_first=60, retry_factor=1, stop_timeout=5.0))
    house.deliverer.start()
    try:
        over = _own("over.recipient.example", NO_TIME, until=clock.now() - 1)
        await asyncio.to_thread(_put, example, _own("recipient.example", SLOW), over)
        put = house.letter(CAROL, DAVE, "erin@over.recipient.example")
        began = clock.now()
        await house.queue.put(put)
        await until(lambda: house.kinds(put).count("deferred") == 3)
        with read(example) as connection:
            rows = connection.execute(select(recipient.c.address, recipient.c.due_at))
            waits = {row.address: row.due_at - began for row in rows}
        for address, wait in ((CAROL, 2 * HOUR), (DAVE, 60.0), ("erin@over.recipient.example", 2 * HOUR)):
            assert wait <= waits[address] <= wait * (1 + SPREAD) + 10
        await asyncio.to_thread(_put, example, _own("elsewhere.example", NO_TIME))
        returned = house.letter(DAVE)
        await house.queue.put(returned)
        await until(lambda: "bounced" in house.kinds(returned))
    finally:
        await house.close()


def test_each_way_has_what_is_set_for_it_and_else_what_is_set_for_all() -> None:
    settings = DeliverySettings(
        retry_longest=600, schedules={"local": ScheduleSettings(retry_first=5, give_up_after=DAY), "direct": SLOWER}
    )
    schedules = usual_schedules(settings)
    assert (schedules[RouteKind.LOCAL].retry_first, schedules[RouteKind.LOCAL].give_up_after) == (5, DAY)
    assert schedules[RouteKind.LOCAL].retry_longest == 600
    assert schedules[RouteKind.USER_GATEWAY] == schedules[RouteKind.DOMAIN_GATEWAY]
    assert schedules[RouteKind.USER_GATEWAY].give_up_after == 5 * DAY
    assert longest_usual_wait(settings) == 7200 * (1 + SPREAD)


SLOWER = ScheduleSettings(retry_longest=7200)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("partner.example", "partner.example"),
        ("smtp.partner.example", "smtp.partner.example"),
        ("mx.smtp.partner.example", "smtp.partner.example"),
        ("apartner.example", None),
        ("", None),
    ],
)
def test_the_schedule_that_names_a_host_most_exactly_holds(host: str, found: str | None) -> None:
    schedules = [_own("partner.example", SLOW), _own("smtp.partner.example", NO_TIME)]
    one = own_schedules.find(schedules, host, NOW)
    assert (one and one.destination) == found


@pytest.mark.parametrize(
    ("entered", "host"),
    [
        ("*.Partner.Example.", "partner.example"),
        ("@bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:DB8:0::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_a_destination_is_named_as_its_host_is_kept(example: Engine, vault: Vault, entered: str, host: str) -> None:
    with write(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), NOW)
        made = schedule_operations.set_schedule(op, USUAL, entered, LONG, "why", None)
        assert own_schedules.find(own_schedules.load(connection), host, NOW) == made
        assert schedule_operations.listed(op, entered) == [schedule_operations.remove(op, entered)]


@pytest.mark.parametrize("entered", ["*", "x.*.example", "a..example", "partner_example", "x" * 300, "fe80::1%eth0"])
def test_what_is_no_destination_is_refused(example: Engine, vault: Vault, entered: str) -> None:
    with write(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), NOW)
        with pytest.raises(Invalid, match="domain"):
            schedule_operations.set_schedule(op, USUAL, entered, LONG, "why", None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (ScheduleChange(retry_first=0.5), "1 second to 1 day"),
        (ScheduleChange(retry_longest=2 * DAY), "1 second to 1 day"),
        (ScheduleChange(retry_factor=0.5), "1 to 10 times"),
        (ScheduleChange(delay_report_after=31 * DAY), "within 30 days"),
        (ScheduleChange(give_up_after=0.0), "within 30 days"),
        (ScheduleChange(), "say what is to be otherwise"),
        (ScheduleChange(retry_first=8 * HOUR), r"longer than the longest \(28800 and 14400 seconds\); give both"),
        (ScheduleChange(retry_longest=30), r"longer than the longest \(60 and 30 seconds\)"),
        (ScheduleChange(retry_first=300), r"longer than the longest \(300 and 120 seconds\)"),  # to local mailboxes
        (ScheduleChange(delay_report_after=6 * DAY), r"told that mail waits \(518400 seconds\) when it is returned"),
    ],
)
def test_a_schedule_that_can_not_be_meant_is_refused_in_words(
    example: Engine, vault: Vault, change: ScheduleChange, told: str
) -> None:
    with write(example) as connection:
        op = OperationContext(connection, vault, Actor.console("root"), NOW)
        with pytest.raises(Invalid, match=told):
            schedule_operations.set_schedule(op, USUAL, "slow.example", change, "why", None)
        with pytest.raises(Invalid, match="say why"):
            schedule_operations.set_schedule(op, USUAL, "slow.example", SLOW, " ", None)
        assert own_schedules.load(connection) == ()


def test_a_schedule_is_listed_until_it_is_over_or_removed(example: Engine, vault: Vault) -> None:
    with write(example) as connection:

        def listed(now: float) -> list[str]:
            at = OperationContext(connection, vault, Actor.console("root"), now)
            return [one.destination for one in schedule_operations.listed(at)]

        op = OperationContext(connection, vault, Actor.console("root"), NOW)
        silent = ScheduleChange(delay_report_after=0.0)
        both = ScheduleChange(retry_first=8 * HOUR, retry_longest=DAY)
        schedule_operations.set_schedule(op, USUAL, "*.Slow.Example", silent, "why", DAY)
        schedule_operations.set_schedule(op, USUAL, "other.example", both, "why", None)
        assert listed(NOW) == ["other.example", "slow.example"]
        assert listed(NOW + DAY) == ["other.example"]
        schedule_operations.remove(op, "other.example")
        with pytest.raises(NotFound, match=r"other\.example has no schedule of its own"):
            schedule_operations.remove(op, "other.example")
        assert own_schedules.longest_wait(connection) == 0.0
