"""What a screen reader says, from Chromium's accessibility tree: the wizard, the writer, the unit tree, a journey.

Texts that belong to nothing, addresses of links and times are left out; everything else is there, and in this order.
"""

import re

import pytest
from playwright.async_api import Browser, Locator, expect

from outgate.queue.queue_id import to_text
from pages.browser import person
from pages.conftest import ALICE, ANNA, Town
from pages.every_page import WAITING, furnish

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHO = """
main:
link "Accounts":
heading "Which address do you want to send as?" [level=1]
paragraph: Step 1 of 3.
textbox "Name": Alice
textbox "Email address"
checkbox "Treat as an alias Mail to it counts as your own." [checked]
button "Next"
link "Cancel":
"""
SERVER = """
main:
link "Accounts":
heading "The server of gmail.com" [level=1]
paragraph: Step 2 of 3. What is sent as me@gmail.com will be delivered by this server.
group: Choose the provider from a list
status:
paragraph: "Found: gmail.com. This is usually right: only the password is missing."
paragraph: "This provider: needs an app password, which needs 2-Step Verification."
textbox "SMTP Server": smtp.gmail.com
textbox "Port": "465"
textbox "Username": me@gmail.com
textbox "Password"
group "Connection":
radio "Secured connection using TLS (recommended)"
radio "Secured connection using SSL" [checked]
button "Add Account"
link "Back":
paragraph: Without its own server, example.com's servers deliver it, and some recipients see “on behalf of”.
button "Add it without a server"
region "Trial of the server":
heading "Trial of the server" [level=2]
paragraph: “Add Account” connects to the server and logs in, without sending anything. You see each step here.
"""
CODE = """
main:
link "Accounts":
heading "Confirm that alice@pending.example is yours" [level=1]
paragraph: Step 3 of 3.
paragraph: A message with a code of nine digits is on its way to alice@pending.example. Enter the code here, or open \
the link in the message.
textbox "Code"
button "Confirm"
link "Later":
paragraph:
button "Send it again"
"""
WRITER = """
combobox "From":
option "Alice <alice@example.com> (default) · example.com's servers" [selected]
option "Alice <alice@dominiopartner.example> · smtp.dominiopartner.example"
option "Alice <sales@studio.example> · smtp.studio.example"
textbox "To"
textbox "Cc"
textbox "Bcc"
textbox "Subject"
button "Formatting"
textbox "Message"
button "Attach files"
button "Send"
group: Send later
button "Save draft"
status
button "Delete the draft"
"""
UNITS = """
navigation "Organizational units":
heading "Organizational units" [level=2]
list:
listitem:
link "example.com on":
list:
listitem:
link "Sales inherits":
list:
listitem:
link "North inherits":
listitem:
link "Support inherits":
"""
JOURNEY = """
region "Journey":
heading "Journey" [level=2]
text: live
list:
listitem:
text: Accepted from alice@example.com 3 recipients, 1 byte
listitem:
text: "Routed by the address's own server: giulia@cliente.example, acquisti@cliente.example, capo@cliente.example \
alice@dominiopartner.example has the gateway smtp.dominiopartner.example:587"
listitem:
text: Attempt for 3 recipients at smtp.dominiopartner.example[192.0.2.1]:587
code: "250 2.0.0 Ok: queued as 4F2A91C03"
text: TLSv1.3 TLS_AES_256_GCM_SHA384, 48 ms, MAIL FROM <alice@dominiopartner.example>
listitem:
text: Delivered to giulia@cliente.example, acquisti@cliente.example
code: 250 2.0.0 Ok
text: by smtp.x
listitem:
text: Deferred capo@cliente.example
code: 450 4.2.2 mailbox is full
text: Next try
"""


async def test_wizard_writer_unit_tree_and_journey_are_named(town: Town, browser: Browser) -> None:
    await furnish(town.site)
    async with person(browser, town.base) as alice:
        await alice.at("/")
        await alice.log_in(ALICE)
        await alice.page.wait_for_selector("#writer")
        assert await spoken(alice.page.locator("mail-writer")) == WRITER
        room = alice.page.get_by_role("main")
        await alice.at("/settings/accounts/add")
        assert await spoken(room) == WHO
        await alice.at("/settings/accounts/add/server?address=me@gmail.com")
        await expect(room).to_contain_text("Found: gmail.com")
        assert await spoken(room) == SERVER
        await expect(alice.page.get_by_label("Password")).to_be_focused()  # all else was found
        await alice.page.get_by_text("Choose the provider").click()
        await alice.page.get_by_role("combobox", name="Provider").select_option("Fastmail")
        await alice.page.get_by_role("button", name="Fill in").click()
        await expect(alice.page.get_by_role("status")).to_contain_text("This provider: needs an app password")
        await expect(alice.page.get_by_label("SMTP Server")).to_have_value("smtp.fastmail.com")
        await expect(alice.page.get_by_label("Password")).to_be_focused()
        await alice.at("/settings/accounts/alice@pending.example/confirm")
        assert await spoken(room) == CODE
    async with person(browser, town.base) as anna:
        await anna.at("/admin/apps/mail/end-user-access?unit=/Sales")
        await anna.log_in(ANNA)
        tree = anna.page.get_by_role("navigation", name="Organizational units")
        await tree.wait_for()
        assert await spoken(tree) == UNITS
        await expect(tree.get_by_role("link", name="Sales")).to_have_attribute("aria-current", "true")
        await anna.at(f"/admin/reporting/email-log-search/{to_text(WAITING)}")
        assert await spoken(anna.page.get_by_role("region", name="Journey"), texts=True) == JOURNEY


async def spoken(part: Locator, *, texts: bool = False) -> str:
    """What has a role, line by line, and the `texts` between them; days end in the year."""
    lines = [line.strip().removeprefix("- ") for line in (await part.aria_snapshot()).splitlines()]
    left_out = re.compile(r"/url:|time:|text: [A-Z][a-z]+ \d+, \d{4}$" if texts else "/url:|time:|text:")
    return "\n" + "".join(f"{line}\n" for line in lines if not left_out.match(line))
