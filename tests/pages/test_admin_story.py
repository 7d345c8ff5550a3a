"""The administrator's story in a browser: the switch for one unit, in force at once; a message found, and followed."""

import asyncio
import re

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from outgate import clock
from outgate.queue.queue_id import to_text
from outgate.record import events, message_log
from outgate.record.events import MessageEvent, Passage
from outgate.store.engine import write
from outgate.web.words import words
from pages.browser import csp_reports, person
from pages.conftest import ALICE, ANNA, PARTNER, Town
from record.recorded import partly_delivered
from way.submit import submit
from web.links import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = 1
PATH = "/admin/apps/mail/end-user-access"
IN_FORCE = (
    "In force on %(num)s node, %(seconds)s s after saving",
    "In force on all %(num)s nodes, %(seconds)s s after saving",
)
SWITCH = (
    'Allow users to send mail through an external SMTP server when configuring a "from" address hosted outside your'
    " email domains"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_address(town: Town) -> Town:
    """Alice has an address with a server that works. The switch is off for everybody."""
    await town.site.switch(True)
    await town.site.add_external(ALICE, PARTNER, town.gateway.port)
    await town.site.switch(False)
    return town


@pytest.mark.parametrize("language", ["en", "it"])
async def test_the_switch_is_four_clicks_from_home_and_what_it_lets_through_is_found(
    with_address: Town, browser: Browser, language: str
) -> None:
    """The administrator's story: on for one unit, in force at once, a message found and followed, its server paused."""
    town, said, before = with_address, words(language), csp_reports()
    await town.speak(language, ALICE, ANNA)
    async with person(browser, town.base, language) as anna, person(browser, town.base, language) as alice:
        await anna.at("/")
        await anna.log_in(ANNA)
        await anna.page.get_by_role("link", name=said("Admin console")).click()
        await expect(anna.page.get_by_role("heading", name=said("What there is to see to"))).to_be_visible()
        # Four clicks.
        await anna.page.get_by_role("link", name=said("End User Access"), exact=True).click()
        await anna.page.get_by_role("link", name=f"Sales {said('inherits')}").click()
        await anna.page.get_by_role("checkbox", name=said(SWITCH)).check()
        await anna.page.get_by_role("button", name=said("Save")).click()
        in_force = said.several(*IN_FORCE, 1, seconds="0").partition(",")[0]
        await expect(anna.page.get_by_role("status")).to_contain_text(in_force)
        await expect(anna.page.get_by_text(said("Overridden in %(unit)s", unit="Sales"))).to_be_visible()
        tree = await anna.page.get_by_role("navigation", name=said("Organizational units")).aria_snapshot()
        for name in (f"example.com {said('off')}", f"Sales {said('on')}", f"North {said('inherits')}"):
            assert f'link "{name}"' in tree

        # It holds at once: alice is offered a server, and mail of her address leaves by its own.
        await alice.at("/settings/accounts/add/server?address=me@studio.example")
        await alice.log_in(ALICE)
        await expect(alice.page.get_by_label(said("SMTP Server"))).to_be_visible()
        delivered, recipient = len(town.gateway.messages), f"{language}@recipient.example"
        await submit(town.site, PARTNER, [recipient])
        await town.gateway.wait_for(delivered + 1)

        # Found by the search in the console's head, and followed.
        await anna.page.get_by_role("searchbox", name=said("Search the console")).fill(recipient)
        await anna.page.keyboard.press("Enter")
        await anna.page.get_by_role("link", name=f"{said('Messages to')} {recipient}").click()
        found = anna.page.get_by_role("row", name=re.compile(re.escape(recipient)))
        await found.get_by_role("link").click()
        journey = anna.page.get_by_role("region", name=said("Journey"))
        await expect(journey).to_contain_text(said("Delivered"))
        steps = await journey.get_by_role("list").aria_snapshot()
        places = [steps.find(said(step)) for step in ("Accepted", "Routed", "Delivered")]
        assert (places, steps.count("- listitem")) == (sorted({*places} - {-1}), 4), steps
        assert said("by the address's own server") in steps

        # The server that it left by is paused, and goes on.
        await anna.page.get_by_role("link", name=said("Gateways"), exact=True).click()
        row = anna.page.get_by_role("row", name=re.compile(re.escape(PARTNER)))
        await row.get_by_role("link", name=said("Queue")).click()
        await anna.page.get_by_role("button", name=said("Suspend")).click()
        await expect(anna.page.get_by_text(said("suspended"), exact=True)).to_be_visible()
        await anna.page.get_by_role("button", name=said("Resume")).click()
        await expect(anna.page.get_by_text(said("suspended"), exact=True)).to_have_count(0)

        await anna.at(f"{PATH}?unit=/Sales")
        await anna.page.get_by_role("button", name=said("Inherit from %(unit)s", unit="example.com")).click()
        inherited = said("Inherited from %(unit)s", unit="example.com")
        await expect(anna.page.get_by_text(inherited)).to_be_visible()
        await alice.page.reload()
        await expect(alice.page.get_by_role("alert")).to_be_visible()
    assert csp_reports() == before


async def test_what_is_no_host_is_said_and_nothing_is_saved(town: Town, browser: Browser) -> None:
    await town.speak("en", ANNA)
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
    await town.speak("en", ANNA)
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


async def record(town: Town, *told: MessageEvent) -> None:
    """As delivery would."""

    def add() -> None:
        with opened(town.site) as place, write(place.engine) as connection:
            message_log.add(connection, told)

    await asyncio.to_thread(add)
