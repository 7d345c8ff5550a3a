"""Outgate's own API at a running server, for tests: alice may do everything, bob nothing; mail of hers waits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_auth_httplib2
import httplib2
import httpx2
from bench.scratch import free_port

from api.api_site import ALICE, BOB, PARTNER, ApiSite, partner_server
from outgate.api.own_surface import OWN
from outgate.api.surfaces import SURFACES
from outgate.operations import role_operations
from way.place import Site, install, running
from way.submit import submit

SCOPES = tuple(OWN.scopes)
EVERY_SCOPE = tuple(dict.fromkeys(scope for surface in SURFACES for scope in surface.scopes))


@dataclass
class OwnApi:
    """`tokens` are kept by whom they are for and what they are good for."""

    api: ApiSite
    tokens: dict[tuple[str, Sequence[str]], str] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        return self.api.site

    async def token(self, user: str, scopes: Sequence[str]) -> str:
        key = (user, tuple(scopes))
        if key not in self.tokens:
            credentials = self.api.credentials(user, scopes)
            http = httplib2.Http(ca_certs=str(self.site.authority.ca_file))
            await asyncio.to_thread(credentials.refresh, google_auth_httplib2.Request(http))
            http.close()
            self.tokens[key] = str(credentials.token)
        return self.tokens[key]

    async def ask(
        self,
        verb: str,
        path: str,
        body: object = None,
        *,
        user: str = ALICE,
        scopes: Sequence[str] = SCOPES,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        token = await self.token(user, scopes)
        return await self.api.client.request(
            verb,
            f"/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}", **(headers or {})},
        )

    async def told(self, verb: str, path: str, body: object = None) -> Any:
        """What is answered well."""
        answer = await self.ask(verb, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, verb: str, path: str, body: object = None, **how: Any) -> tuple[int, str]:
        """Status and words of a problem."""
        answer = await self.ask(verb, path, body, **how)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["type"] == "about:blank"
        return answer.status_code, problem.get("detail", "")

    async def tried(self, *attempts: int) -> None:
        """Wait until there are recipients, each of which was tried so often in vain, and none is being tried."""
        async with asyncio.timeout(60):
            while [(one["state"], one["attempts"]) for one in await self._waiting()] != [
                ("deferred", number) for number in attempts
            ]:
                await asyncio.sleep(0.02)

    async def _waiting(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.told("GET", "queue/recipients"))["items"]
        return found


@asynccontextmanager
async def own_api(folder: Path, *, mail: int = 0) -> AsyncIterator[OwnApi]:
    """`mail` messages to two people each wait for a gateway that does not work; for an hour nothing is tried again."""
    port = free_port()
    web = {"public_url": f"https://localhost:{port}", "port": port, "tls": True}
    site = install(folder / "outgate", web=web, delivery={"retry_first": 3600})
    async with partner_server(site) as partner:
        await site.switch(on=True)
        await site.add_external(ALICE, PARTNER, 1)
        api = ApiSite(site, port, partner)
        await api.operate(lambda op: role_operations.assign(op, ALICE, "super-admin", "/"))
        await api.service_account("tool", EVERY_SCOPE)
        api.server = await running(site)
        own = OwnApi(api)
        try:
            for _ in range(mail):
                await submit(site, PARTNER, ["carol@recipient.example", "dave@recipient.example"])
            await own.tried(*[1] * 2 * mail)
            yield own
        finally:
            await api.close()
            await api.server.stop()


__all__ = ["ALICE", "BOB", "PARTNER", "SCOPES", "OwnApi", "own_api"]
