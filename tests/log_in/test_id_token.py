"""Which ID tokens say who somebody is, and which don't: signed here, asked for through a client that answers for the
provider.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from log_in.provider import Key, hs256, jws, rsa_key
from outgate import config
from outgate.config import WebOidcSettings
from outgate.egress.https_client import Fetched, HttpsClient, NotFetched
from outgate.openid.provider_log_in import PendingLogIn, ProviderLogIn, ProviderLogInFailed, ProviderUnreachable

ISSUER, CLIENT, NOW = "https://id.example.com", "pages", 1_800_000_000.0
PENDING = PendingLogIn("state", "nonce", "verifier", False, NOW)
AGAIN = PendingLogIn("state", "nonce", "verifier", True, NOW)
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": CLIENT,
    "sub": "f81d4fae",
    "iat": int(NOW),
    "exp": int(NOW) + 300,
    "nonce": "nonce",
    "email": "Alice@Example.com",
    "email_verified": True,
}


class AtProvider(HttpsClient):
    """Answers by URL; tokens are `id_token`."""

    def __init__(self, id_token: object, userinfo: Mapping[str, object] | None = None) -> None:
        self.answers: dict[str, object] = {
            f"{ISSUER}/.well-known/openid-configuration": {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/auth",
                "token_endpoint": f"{ISSUER}/token",
                "userinfo_endpoint": f"{ISSUER}/me",
                "jwks_uri": f"{ISSUER}/keys",
            },
            f"{ISSUER}/keys": {"keys": [rsa_key().public()]},
            f"{ISSUER}/token": {"id_token": id_token, "access_token": "opaque", "token_type": "Bearer"},
            f"{ISSUER}/me": userinfo,
        }
        self.sent: list[Mapping[str, str]] = []

    async def get(
        self,
        url: str,
        redirects: int = 0,
        patience: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched | NotFetched:
        self.sent.append(headers or {})
        return self._answer(url)

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], patience: float = 0.0
    ) -> Fetched | NotFetched:
        self.sent.append(headers)
        return self._answer(url)

    def _answer(self, url: str) -> Fetched | NotFetched:
        found = self.answers.get(url)
        return Fetched(url, 200, json.dumps(found).encode()) if found else NotFetched(url, "no route to host")


def token(key: Key | None = None, **changed: object) -> str:
    """The good one but for these claims; one that is None is left out."""
    claims = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return (key or rsa_key()).token(claims, typ="JWT")


def log_in(at: AtProvider, **settings: str) -> ProviderLogIn:
    """As the settings make it."""
    given = WebOidcSettings(issuer=ISSUER, client_id=CLIENT, name="Example", **settings)
    return ProviderLogIn(given, "secret", "https://mail.example.com/log-in/returned", at)


async def told(id_token: object, pending: PendingLogIn = PENDING, **settings: str) -> str:
    """Whose it is."""
    found = await log_in(AtProvider(id_token), **settings).end(pending, "state=state&code=x", NOW)
    return found.address


async def test_a_good_token_says_the_primary_address() -> None:
    assert await told(token()) == "alice@example.com"
    assert await told(token(email=None, upn="alice@example.com"), claim="upn") == "alice@example.com"
    assert await told(token(aud=[CLIENT, "other"], azp=CLIENT)) == "alice@example.com"


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://id.evil.example"},
        {"aud": "other"},
        {"aud": [CLIENT, "other"]},
        {"azp": "other"},
        {"exp": int(NOW) - 61},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"email_verified": False},
        {"email_verified": None},
        {"email": "no address"},
        {"email": ["alice@example.com"]},
    ],
)
async def test_a_token_that_is_not_whole_says_nobody(changed: dict[str, Any]) -> None:
    with pytest.raises(ProviderLogInFailed, match="can't be used here"):
        await told(token(**changed))


async def test_a_signature_of_others_says_nobody() -> None:
    public = json.dumps(rsa_key().public()).encode()
    for forged in (
        token(rsa_key("stranger")),
        jws({"alg": "HS256", "kid": "rsa", "typ": "JWT"}, GOOD, hs256(public)),
        jws({"alg": "none", "typ": "JWT"}, GOOD, lambda _: b""),
        rsa_key().token(GOOD, typ="at+jwt"),
    ):
        with pytest.raises(ProviderLogInFailed):
            await told(forged)


@pytest.mark.parametrize(
    ("auth_time", "is_proof"),
    [
        (int(NOW), True),
        (NOW - 59, True),
        (NOW + 60, True),
        (NOW - 61, False),
        (NOW + 61, False),
        (NOW * 1000, False),
        (-NOW, False),
        (math.nan, False),
        (math.inf, False),
        pytest.param(10**400, False, id="huge"),
        (True, False),
        (str(NOW), False),
        (None, False),
    ],
)
async def test_only_who_was_asked_since_has_shown_again_who_they_are(auth_time: object, is_proof: bool) -> None:
    id_token = token(auth_time=auth_time)
    if is_proof:
        assert await told(id_token, AGAIN) == "alice@example.com"
        return
    with pytest.raises(ProviderLogInFailed, match="has not asked you"):
        await told(id_token, AGAIN)


@pytest.mark.parametrize(
    ("auth_time", "shown_at"),
    [
        (NOW - 3600, NOW - 3600),
        (NOW + 60, NOW),
        (NOW + 61, 0.0),
        (NOW * 1000, 0.0),
        (math.nan, 0.0),
        pytest.param(10**400, 0.0, id="huge"),
    ],
)
async def test_nobody_has_shown_who_they_are_at_a_time_that_is_none_or_not_yet(
    auth_time: float, shown_at: float
) -> None:
    found = await log_in(AtProvider(token(auth_time=auth_time))).end(PENDING, "state=state&code=x", NOW)
    assert found.shown_at == shown_at


async def test_what_the_token_leaves_out_is_asked_for_if_it_is_of_the_same_person() -> None:
    bare = token(email=None, email_verified=None)
    at = AtProvider(bare, {"sub": "f81d4fae", "email": "alice@example.com", "email_verified": True})
    assert (await log_in(at).end(PENDING, "state=state&code=x", NOW)).address == "alice@example.com"
    assert at.sent[-1] == {"Authorization": "Bearer opaque"}
    at.answers[f"{ISSUER}/me"] = {"sub": "another", "email": "bob@example.com", "email_verified": True}
    with pytest.raises(ProviderLogInFailed, match="somebody else"):
        await log_in(at).end(PENDING, "state=state&code=x", NOW)


@pytest.mark.parametrize("missing", ["/.well-known/openid-configuration", "/token", "/keys", "/me"])
async def test_of_a_provider_that_is_away_nobody_comes_and_it_is_said(missing: str) -> None:
    at = AtProvider(token(email=None))
    del at.answers[ISSUER + missing]
    with pytest.raises(ProviderUnreachable, match="Example can't be asked just now"):
        await log_in(at).end(PENDING, "state=state&code=x", NOW)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('issuer = "http://id.example.com"', "web.oidc.issuer must be an https:// URL"),
        ('issuer = "https://id.example.com"', "set web.oidc.client_id"),
        ('scopes = ["email"]', "web.oidc.scopes must have openid"),
        ('isuer = "https://id.example.com"', "there is no setting 'web.oidc.isuer'"),
        ("claim = 1", "web.oidc.claim must be text"),
    ],
)
def test_settings_that_can_not_work_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "outgate.toml").write_text(f"[web.oidc]\n{text}\n")
    with pytest.raises(config.ConfigError, match=words):
        config.load(tmp_path)


async def test_an_answer_of_another_issuer_is_refused() -> None:
    at = AtProvider(token())
    with pytest.raises(ProviderLogInFailed, match="another provider"):
        await log_in(at).end(PENDING, "state=state&code=x&iss=https://id.evil.example", NOW)
