"""Webhooks on their pages: added with a secret shown once, tested, looked at, stopped and removed after a question."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from outgate import clock
from outgate.directory import roles
from outgate.store.engine import write
from outgate.webhooks.event_body import CHOICES
from way.place import Site, install, running
from web.links import opened
from web.people import ALICE, logged_in
from webhooks.receiver import Receiver

PATH = "/admin/reporting/webhooks"
ONE = f"{PATH}/tickets"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Site:
    """Alice may do everything."""
    path: Path = tmp_path_factory.mktemp("webhooks") / "outgate"
    web = {"public_url": f"http://127.0.0.1:{port}", "port": port}
    site = install(path, web=web, webhooks={"allow_http": True})
    with opened(site) as place, write(place.engine) as connection:
        roles.assign(connection, ALICE, "super-admin", "/", clock.now())
    return site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(site: Site, port: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Her browser at the running server."""
    server = await running(site)
    async with logged_in(port) as browser:
        yield browser
    await server.stop()


async def test_a_webhook_is_added_tested_given_a_new_secret_and_removed(alice: httpx2.AsyncClient) -> None:
    with Receiver() as receiver:
        wanted = {"name": "tickets", "url": receiver.url, "unit": "/", **{one.value: "on" for one in CHOICES}}
        added = await alice.post(PATH, data=wanted)
        [secret] = re.findall(r"whsec_[\w+/=]+", added.text)
        assert (await alice.post(PATH, data=wanted)).status_code == 409
        tested = await alice.post(ONE, data={"do": "test"})
        assert tested.headers["location"] == f"{ONE}?done=taken"
        assert receiver.received[0].is_signed_by(secret)
        receiver.status = 500
        assert (await alice.post(ONE, data={"do": "test"})).headers["location"] == f"{ONE}?done=not-taken"
        shown = (await alice.get(ONE)).text
        assert "HTTP 500" in shown
        rotated = await alice.post(ONE, data={"do": "rotate"})
        [new] = re.findall(r"whsec_[\w+/=]+", rotated.text)
        assert new != secret
        assert "whsec_" not in shown + (await alice.get(PATH)).text + (await alice.get(ONE)).text
    assert (await alice.post(ONE, data={"do": "disable"})).headers["location"] == f"{ONE}?done=disable"
    assert "stopped by alice@example.com" in (await alice.get(ONE)).text
    assert (await alice.post(ONE, data={"do": "enable"})).headers["location"] == f"{ONE}?done=enable"
    assert "Remove this webhook?" in (await alice.post(ONE, data={"do": "remove"})).text
    removed = await alice.post(ONE, data={"do": "remove", "meant": "on"})
    assert removed.headers["location"] == f"{PATH}?done=remove"
    assert (await alice.get(ONE)).status_code == 404
    assert (await alice.post(ONE, data={"do": "test"})).status_code == 404


async def test_what_can_t_be_added_is_said_with_what_was_entered(alice: httpx2.AsyncClient) -> None:
    hostile = """"><script>alert(1)</script>"""
    answer = await alice.post(PATH, data={"name": "x", "url": hostile, "message.bounced": "on"})
    assert answer.status_code == 400
    assert "Give a URL that begins with" in answer.text
    assert hostile not in answer.text
