"""Asks an OpenID provider for its public documents. Knows nothing of what is in them.

The provider is the administrator's own setting, so its host is not guarded as hosts given by users are.
"""

import json
import ssl
from typing import Any, Final

from outgate.extras import extra

with extra("oidc"):
    import httpx2

STEP = 3.0  # seconds for one step, such as the handshake; httpx2 closes what it breaks off, not what is cancelled
MAX_ANSWER: Final = 256 * 1024  # bytes of a document


class ProviderDocuments:
    """Gets JSON objects by HTTPS. No proxy of the environment, and no redirect, is followed."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    async def __call__(self, url: str) -> dict[str, Any]:
        """The object at this address. Raises ValueError that says why there is none, or TimeoutError."""
        try:
            async with httpx2.AsyncClient(verify=self._context, trust_env=False, timeout=STEP) as client:
                return await _document(client, url)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ValueError(str(error) or type(error).__name__) from None


async def _document(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    async with client.stream(
        "GET", url, headers={"Accept": "application/json", "Accept-Encoding": "identity"}
    ) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{url} answered with status {answer.status_code}")
        content = bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > MAX_ANSWER:
                raise ValueError(f"{url} answered with more than {MAX_ANSWER} bytes")
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ValueError(f"{url} did not answer with a JSON object")
    return document
