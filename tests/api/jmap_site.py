"""A program that speaks JMAP to a server of the tests: plain JSON over HTTP, as RFC 8620 has it."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import httpx2

from api.api_site import ALICE, BASIC, READONLY, SEND, SHARING, ApiSite, ask

USING = ("urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission")
SCOPES = (SHARING, BASIC, SEND, READONLY)
CAROL = "carol@recipient.example"


def message(sender: str, to: str = CAROL, subject: str = "Hello", **fields: str) -> bytes:
    head = {"From": sender, "To": to, "Subject": subject, **fields}
    return "".join(f"{name}: {text}\r\n" for name, text in head.items() if text).encode() + b"\r\nHello, Carol.\r\n"


class JmapClient:
    """One user's program."""

    def __init__(self, client: httpx2.AsyncClient, token: str, session: Mapping[str, Any]) -> None:
        self._client, self.session = client, session
        self.headers = {"Authorization": f"Bearer {token}"}
        self.account: str = session["primaryAccounts"][USING[2]]

    @classmethod
    async def of(
        cls, api: ApiSite, user: str = ALICE, scopes: Sequence[str] = (SHARING, BASIC, SEND, READONLY)
    ) -> Self:
        token = await token_of(api, user, scopes)
        answer = await api.client.get("/.well-known/jmap", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        return cls(api.client, token, answer.json())

    async def post(self, body: Any, using: Sequence[str] = USING, **headers: str) -> httpx2.Response:
        """A request whose methods are `body`, or that is `body` where that is no list."""
        sent = {"using": list(using), "methodCalls": body} if isinstance(body, list) else body
        return await self._client.post(self.session["apiUrl"], json=sent, headers=self.headers | headers)

    async def calls(self, *methods: Sequence[Any], **headers: str) -> list[list[Any]]:
        """What methods are answered, each with the account."""
        named = [[name, {"accountId": self.account} | given, str(at)] for at, (name, given) in enumerate(methods)]
        answer = await self.post(named, **headers)
        assert answer.status_code == 200, answer.text
        told: list[list[Any]] = answer.json()["methodResponses"]
        return told

    async def call(self, name: str, **given: Any) -> dict[str, Any]:
        """What one method is answered."""
        [[answer, told, _]] = await self.calls((name, given))
        assert answer == name, told
        return dict(told)

    async def error(self, name: str, **given: Any) -> str:
        """As what a method is refused."""
        [[answer, told, _]] = await self.calls((name, given))
        assert answer == "error", told
        return str(told["type"])

    async def upload(self, content: bytes, content_type: str = "message/rfc822") -> dict[str, Any]:
        url = self.session["uploadUrl"].replace("{accountId}", self.account)
        answer = await self._client.post(url, content=content, headers=self.headers | {"Content-Type": content_type})
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def download(self, blob: str, content_type: str = "message/rfc822", name: str = "a.eml") -> httpx2.Response:
        url = self.session["downloadUrl"]
        for key, value in {"accountId": self.account, "blobId": blob, "type": content_type, "name": name}.items():
            url = url.replace(f"{{{key}}}", value)
        return await self._client.get(url, headers=self.headers)

    async def imported(self, content: bytes) -> str:
        """The id of an email made of this."""
        blob = (await self.upload(content))["blobId"]
        email = {"blobId": blob, "mailboxIds": {"drafts": True}, "keywords": {"$draft": True}}
        told = await self.call("Email/import", emails={"e": email})
        return str(told["created"]["e"]["id"])

    async def identities(self) -> dict[str, dict[str, Any]]:
        """By address."""
        return {one["email"]: one for one in (await self.call("Identity/get", ids=None))["list"]}

    async def submit(self, content: bytes, identity: str, **more: Any) -> dict[str, Any]:
        """What comes of a submission: as created, or why not."""
        new = {"identityId": identity, "emailId": await self.imported(content), **more}
        told = await self.call("EmailSubmission/set", create={"s": new})
        return dict((told["created"] or told["notCreated"])["s"])


async def token_of(api: ApiSite, user: str, scopes: Sequence[str]) -> str:
    credentials = api.credentials(user, scopes)

    class _Asked:
        @staticmethod
        def execute() -> None:
            credentials.refresh(api.token_request())  # type: ignore[no-untyped-call]

    await ask(_Asked)
    return str(credentials.token)
