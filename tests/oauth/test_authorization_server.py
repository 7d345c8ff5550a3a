"""What a provider's server answers that is not as it should be: no answer of it may break or delay us for long."""

import json
from collections.abc import Mapping

import pytest

from outgate.egress.https_client import Fetched, HttpsClient, NotFetched
from outgate.oauth.authorization_server import AuthorizationServer, DeviceCode, ServerAway
from outgate.oauth.providers import OAuthProvider
from outgate.sendas.oauth_clients import OAuthClient

CLIENT = OAuthClient("outgate", "")
WHOLE = {"device_code": "d", "user_code": "u", "verification_uri": "https://provider.example/device"}


class Says(HttpsClient):
    """Every question has the same answer."""

    def __init__(self, status: int, content: object, **headers: str) -> None:
        self._answer = Fetched("https://provider.example/x", status, json.dumps(content).encode(), headers)

    async def get(
        self,
        url: str,
        redirects: int = 0,
        patience: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched | NotFetched:
        return self._answer

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], patience: float = 0.0
    ) -> Fetched | NotFetched:
        return self._answer


def server(https: HttpsClient, **more: str) -> AuthorizationServer:
    return AuthorizationServer(OAuthProvider.model_validate({"name": "example", **more}), https)


@pytest.mark.parametrize("issuer", [None, 7, ["https://provider.example"], {}])
async def test_an_issuer_that_is_no_text_is_another_issuer(issuer: object) -> None:
    asked = server(Says(200, {"issuer": issuer}), issuer="https://provider.example")
    found = await asked.endpoint("token_endpoint")
    assert isinstance(found, ServerAway)
    assert "or is of another issuer" in found.reason


@pytest.mark.parametrize(
    ("told", "interval", "lifetime"),
    [
        ({}, 5.0, 600.0),
        ({"interval": 10, "expires_in": 900}, 10.0, 900.0),
        ({"interval": 0.001, "expires_in": -5}, 1.0, 600.0),
        ({"interval": "nan", "expires_in": "inf"}, 5.0, 600.0),
        ({"interval": [], "expires_in": {}}, 5.0, 600.0),
    ],
)
async def test_times_of_a_device_code_are_sensible(told: dict[str, object], interval: float, lifetime: float) -> None:
    url = "https://provider.example/x"
    asked = server(
        Says(200, WHOLE | told), authorization_endpoint=url, token_endpoint=url, device_authorization_endpoint=url
    )
    found = await asked.device_code(CLIENT)
    assert isinstance(found, DeviceCode)
    assert (found.interval, found.lifetime) == (interval, lifetime)
