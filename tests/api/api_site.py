"""An installation with an API, a partner's server, a service account, and Google's own client for it.

The client waits for its answers in threads: the server's loop runs.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import google_auth_httplib2
import httplib2
import httpx2
import pytest
from bench.scratch import free_port
from google.auth.credentials import Credentials as GoogleCredentials
from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from corpus.peer import RawPeer
from outgate import clock
from outgate.operations import service_account_operations
from outgate.operations.actor import Actor
from outgate.operations.context import OperationContext, reading, writing
from outgate.wiring import ServerProcess
from way.place import GATEWAY_PASSWORD, LOCALHOST, Site, install, running
from web.links import opened

T = TypeVar("T")

ALICE, BOB = "alice@example.com", "bob@example.com"
PARTNER = "alice@dominiopartner.example"
SCOPE = "https://www.googleapis.com/auth/"
SHARING, BASIC, SEND = f"{SCOPE}gmail.settings.sharing", f"{SCOPE}gmail.settings.basic", f"{SCOPE}gmail.send"
READONLY, MODIFY, COMPOSE = f"{SCOPE}gmail.readonly", f"{SCOPE}gmail.modify", f"{SCOPE}gmail.compose"


@dataclass
class ApiSite:
    """`keys` are the key files of the service accounts, by name."""

    site: Site
    port: int
    partner: RawPeer
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    services: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server: ServerProcess
        self.client = httpx2.AsyncClient(
            base_url=self.url, trust_env=False, timeout=30, verify=self.site.client_context()
        )

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def gateway(self) -> dict[str, object]:
        """As Gmail's API has it; it works."""
        return {
            "host": "localhost",
            "port": self.partner.port,
            "username": PARTNER,
            "password": GATEWAY_PASSWORD,
            "securityMode": "starttls",
        }

    async def operate(self, change: Callable[[OperationContext], T]) -> T:
        """An operation at the console."""

        def work() -> T:
            console = Actor.console("root")
            with opened(self.site) as place, writing(place.engine, place.vault, console, clock.now()) as op:
                return change(op)

        return await asyncio.to_thread(work)

    async def look(self, question: Callable[[OperationContext], T]) -> T:
        """An operation that only looks."""

        def work() -> T:
            console = Actor.console("root")
            with opened(self.site) as place, reading(place.engine, place.vault, console, clock.now()) as op:
                return question(op)

        return await asyncio.to_thread(work)

    async def service_account(self, name: str, scopes: Sequence[str]) -> None:
        """One with these grants; its key is among `keys`."""
        account, key = await self.operate(lambda op: service_account_operations.create(op, name, "mail.example.com"))
        if scopes:
            await self.operate(lambda op: service_account_operations.grant(op, name, scopes))
        self.keys[name] = {
            "type": "service_account",
            "private_key_id": key.key_id,
            "private_key": key.private_key,
            "client_email": account.email,
            "client_id": account.client_id,
            "token_uri": f"{self.url}/token",
        }

    def credentials(self, user: str = ALICE, scopes: Sequence[str] = (SHARING,), name: str = "tool") -> Credentials:
        return Credentials.from_service_account_info(self.keys[name], scopes=list(scopes), subject=user)  # type: ignore[no-untyped-call, no-any-return]

    def gmail(self, user: str = ALICE, scopes: Sequence[str] = (SHARING, BASIC), name: str = "tool") -> Any:
        """Google's client, of which nothing but the address and the key is ours."""
        return self.service("gmail", "v1", self.credentials(user, scopes, name), static_discovery=True)

    def service(self, api: str, version: str, credentials: GoogleCredentials, **options: object) -> Any:
        made = build(api, version, credentials=credentials, client_options={"api_endpoint": self.url}, **options)
        self.services.append(made)
        return made

    def token_request(self) -> Any:
        """By which credentials ask for a token."""
        http = httplib2.Http(ca_certs=str(self.site.authority.ca_file))
        self.services.append(http)
        return google_auth_httplib2.Request(http)

    async def close(self) -> None:
        await self.client.aclose()
        for one in self.services:
            one.close()

    def send_as(self, user: str = ALICE, scopes: Sequence[str] = (SHARING, BASIC), name: str = "tool") -> Any:
        return self.gmail(user, scopes, name).users().settings().sendAs()


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[ApiSite]:
    """The switch is on; a service account has grants. Google's clients upload by TLS alone."""
    port = free_port()
    site = install(folder, web={"public_url": f"https://localhost:{port}", "port": port, "tls": True})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httplib2, "CA_CERTS", str(site.authority.ca_file))  # read from the environment at its import
        for name in ("no_proxy", "NO_PROXY"):  # clients read proxies from the environment
            patch.setenv(name, "127.0.0.1,localhost")
        async with partner_server(site) as partner:
            await site.switch(on=True)
            place = ApiSite(site, port, partner)
            await place.service_account("tool", [SHARING, BASIC, SEND, READONLY, MODIFY, COMPOSE])
            place.server = await running(site)
            try:
                yield place
            finally:
                await place.close()
                await place.server.stop()


async def ask(request: Any) -> Any:
    """What a request of Google's client is answered."""
    return await asyncio.to_thread(request.execute)


async def refused(request: Any) -> tuple[int, str, str]:
    """Code, status word and text of an error, which has Google's form."""
    with pytest.raises(HttpError) as caught:
        await ask(request)
    told = json.loads(caught.value.content)["error"]
    assert told.keys() == {"code", "message", "errors", "status"}
    assert told["code"] == caught.value.status_code
    assert told["errors"][0].keys() == {"message", "domain", "reason"}
    return told["code"], told["status"], told["message"]


def partner_server(site: Site) -> RawPeer:
    """The partner's server: STARTTLS with a certificate that Outgate trusts, and AUTH."""
    return RawPeer(tls=site.authority.server_context(LOCALHOST), credentials={PARTNER: GATEWAY_PASSWORD})


def write_key(keys: dict[str, str], file: Path) -> Path:
    file.write_text(json.dumps(keys))
    return file
