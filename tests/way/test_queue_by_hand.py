"""What an administrator does with waiting mail is done, by a server that was started anew."""

from corpus.peer import RawPeer
from way.conftest import PARTNER
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, eventually, running
from way.submit import message, submit
from way.test_own_mail_leaves import inbox
from way.test_suspension import once, outgate, says

ALICE = "alice@example.com"


async def test_mail_is_moved_and_returned_after_a_dry_run_and_a_restart(site: Site, gateway: RawPeer) -> None:
    tls = site.authority.server_context(LOCALHOST)
    async with RawPeer(tls=tls, credentials={"relay": GATEWAY_PASSWORD}) as relay:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, gateway.port)
        await site.set_domain_gateway(relay.port)
        server = await running(site)
        try:
            await outgate(site, "gateway", "suspend", PARTNER)
            for to in ("moved@recipient.example", "returned@recipient.example"):
                await submit(site, PARTNER, [to], message(PARTNER, to))
            await once(site, ["queue", "list"], lambda found: all(one["last_reply"] for one in found))
        finally:
            await server.stop()
        dry = await outgate(site, "queue", "expire", "--queue", "gateway:1", "--reply", "suspended", "--dry-run")
        assert dry == {"recipients": 2, "dry_run": True}
        assert await outgate(site, "queue", "count", "--by", "state") == [{"state": "new", "recipients": 2}]
        moved = await outgate(site, "queue", "move", "--address", "moved@", "--way", "organisation")
        returned = await outgate(site, "queue", "expire", "--address", "returned@", "--state", "new")
        assert (moved["recipients"], returned["recipients"]) == (1, 1)
        assert "suspended" in await says(site, "queue", "top", "--times", "1")
        server = await running(site)
        try:
            (received,) = await relay.wait_for(1)
            assert received.recipients == ["moved@recipient.example"]
            assert received.reverse_path == ALICE
            await eventually(lambda: inbox(site, ALICE), "the sender has the report")
            await once(site, ["queue", "list"], lambda found: found == [])
        finally:
            await server.stop()
    (report,) = inbox(site, ALICE)
    assert "returned by the administrator" in " ".join(report.as_string().replace("=\n", "").split())
    assert gateway.connections == 0
