"""The administrator's story in a browser: the switch for one unit, in force at once; a message found, and followed."""

import asyncio

import pytest
from playwright.async_api import Browser, expect

from outgate import clock
from outgate.queue.queue_id import to_text
from outgate.record import events, message_log
from outgate.record.events import MessageEvent, Passage
from outgate.store.engine import write
from pages.browser import csp_reports, person
from pages.conftest import ALICE, ANNA, PARTNER, Town
from record.recorded import partly_delivered
from web.links import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = 1
PATH = "/admin/apps/mail/end-user-access"
SWITCH = (
    'Allow users to send mail through an external SMTP server when configuring a "from" address hosted outside your'
    " email domains"
)


async def test_the_switch_is_four_clicks_from_the_start_and_in_force_at_once(town: Town, browser: Browser) -> None:
    await town.speak("en")
    before = csp_reports()
    async with person(browser, town.base) as anna, person(browser, town.base) as alice:
        await anna.at("/")
        await anna.log_in(ANNA)
        await anna.page.get_by_role("link", name="Admin console").click()
        await anna.page.get_by_role("link", name="Sales inherits").click()
        await expect(anna.page.get_by_text("Inherited from example.com")).to_be_visible()
        await anna.page.get_by_role("checkbox", name=SWITCH).check()
        await expect(anna.page.get_by_text("Saving affects 1 user in Sales, North.")).to_be_visible()
        await anna.page.get_by_role("button", name="Save").click()
        await expect(anna.page.get_by_role("status")).to_contain_text("In force on 1 node")
        await expect(anna.page.get_by_text("Overridden in Sales")).to_be_visible()
        await expect(anna.page.get_by_role("region", name="Last changes")).to_contain_text("/Sales: off → on")
        await alice.at(f"/settings/accounts/add/server?address={PARTNER}")
        await alice.log_in(ALICE)
        await expect(alice.page.get_by_label("SMTP Server")).to_be_visible()
        await anna.page.get_by_role("button", name="Inherit from example.com").click()
        await expect(anna.page.get_by_text("Inherited from example.com")).to_be_visible()
        await alice.page.reload()
        await expect(alice.page.get_by_role("alert")).to_contain_text("Functionality not enabled")
        assert anna.said == []
    assert csp_reports() == before


async def test_what_is_no_host_is_said_and_nothing_is_saved(town: Town, browser: Browser) -> None:
    async with person(browser, town.base) as anna:
        await anna.at(f"{PATH}?unit=/Support")
        await anna.log_in(ANNA)
        await anna.page.get_by_label("Allowed gateway hosts").fill("not a host")
        await anna.page.get_by_role("button", name="Save").click()
        await expect(anna.page.get_by_role("alert")).to_contain_text("not a host")
        await expect(anna.page.get_by_label("Allowed gateway hosts")).to_have_value("not a host")
        await anna.at(f"{PATH}?unit=/Support")
        await expect(anna.page.get_by_text("Inherited from example.com")).to_be_visible()


async def test_a_message_is_found_and_its_journey_goes_on_while_one_looks(town: Town, browser: Browser) -> None:
    """What happens comes without a reload, and whoever uses the keyboard stays where they are."""
    await town.speak("en")
    passage = Passage(MESSAGE, PARTNER, "gateway:1", "user-gateway")
    await record(town, *partly_delivered(MESSAGE, PARTNER, clock.now(), "450 4.2.2 mailbox is full"))
    async with person(browser, town.base) as anna:
        await anna.at("/admin/reporting/email-log-search")
        await anna.log_in(ANNA)
        await anna.page.get_by_label("Recipient").fill("capo@cliente.example")
        await anna.page.get_by_role("button", name="Search").click()
        await anna.page.get_by_role("link", name=to_text(MESSAGE)).click()
        journey = anna.page.get_by_role("region", name="Journey")
        await expect(journey.get_by_text("live", exact=True)).to_be_visible()
        await expect(journey).to_contain_text("450 4.2.2 mailbox is full")
        link = anna.page.get_by_role("link", name="alice@example.com")
        await link.focus()
        reply = "250 2.0.0 at last"
        await record(
            town,
            events.delivered(
                passage, clock.now(), recipient="capo@cliente.example", by="smtp.x", reply=reply, delay=9.0
            ),
        )
        await expect(journey).to_contain_text(reply)
        await expect(anna.page.get_by_role("region", name="Recipients")).to_contain_text(reply)
        await expect(journey.get_by_text("live", exact=True)).to_have_count(0)
        await expect(link).to_be_focused()
        assert anna.said == []


async def record(town: Town, *told: MessageEvent) -> None:
    """As delivery would."""

    def add() -> None:
        with opened(town.site) as place, write(place.engine) as connection:
            message_log.add(connection, told)

    await asyncio.to_thread(add)
