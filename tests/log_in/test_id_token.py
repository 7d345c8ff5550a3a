"""Which ID tokens say who somebody is, and which don't: signed here, asked for through a client that answers for the
provider.
"""

import asyncio
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from log_in.provider import Key, hs256, jws, rsa_key
from outgate import config
from outgate.config import WebOidcSettings
from outgate.egress.https_client import Fetched, HttpsClient, NotFetched
from outgate.openid.provider_log_in import PendingLogIn, ProviderLogIn, ProviderLogInFailed, ProviderUnreachable
from outgate.web.words import words

ISSUER, CLIENT, NOW = "https://id.example.com", "pages", 1_800_000_000.0
CONFIGURATION = f"{ISSUER}/.well-known/openid-configuration"
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
            CONFIGURATION: {
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
        await asyncio.sleep(0)  # others come meanwhile
        return self._answer(url)

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], patience: float = 0.0
    ) -> Fetched | NotFetched:
        self.sent.append(headers)
        return self._answer(url)

    def _answer(self, url: str) -> Fetched | NotFetched:
        found = self.answers.get(url)
        if isinstance(found, Fetched | NotFetched):
            return found
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
    ("changed", "why"),
    [
        ({"nonce": "another"}, "; the log says why"),
        ({"nonce": None}, "; the log says why"),
        ({"iss": "https://id.evil.example"}, "; the log says why"),
        ({"aud": "other"}, "; the log says why"),
        ({"aud": [CLIENT, "other"]}, "; the log says why"),
        ({"azp": "other"}, "; the log says why"),
        ({"exp": int(NOW) - 61}, ": it has expired, or the clocks"),
        ({"exp": None}, "; the log says why"),
        ({"iat": None}, "; the log says why"),
        ({"sub": None}, "; the log says why"),
        ({"email_verified": False}, ": it has not verified your address"),
        ({"email_verified": None}, ": it has not verified your address"),
        ({"email": "no address"}, ": its claim email is no address"),
        ({"email": ["alice@example.com"]}, ": it has no claim email"),
    ],
)
async def test_a_token_that_is_not_whole_says_nobody_and_why_in_words_of_ours(
    changed: dict[str, Any], why: str
) -> None:
    with capture_logs() as lines, pytest.raises(ProviderLogInFailed, match=f"can't be used here{why}") as caught:
        await told(token(**changed))
    assert [line["reason"] for line in lines if "refused" in line["event"]]
    italian = words("it").error(caught.value)
    assert italian.startswith("Ciò che Example dice di te non può essere usato qui")
    assert not set(italian.lower().split()) & {"it", "its", "the", "claim:", "token", "is", "has"}


async def test_a_signature_of_others_says_nobody() -> None:
    public = json.dumps(rsa_key().public()).encode()
    forgeries = (
        token(rsa_key("stranger")),
        jws({"alg": "HS256", "kid": "rsa", "typ": "JWT"}, GOOD, hs256(public)),
        jws({"alg": "none", "typ": "JWT"}, GOOD, lambda _: b""),
        rsa_key().token(GOOD, typ="at+jwt"),
    )
    for forged in forgeries:
        with pytest.raises(ProviderLogInFailed, match="the log says why"):
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
    "fault",
    [
        {"issuer": f"{ISSUER}/"},
        {"authorization_endpoint": None},
        {"token_endpoint": "http://id.example.com/token"},
        {"jwks_uri": None},
        NotFetched(CONFIGURATION, "more than 0 redirects", forbidden=True),
        NotFetched(CONFIGURATION, "the certificate is self-signed", untrusted=True),
        Fetched(CONFIGURATION, 404, b"{}"),
    ],
)
async def test_nobody_is_sent_to_a_provider_whose_answer_could_not_be_used_here(
    fault: dict[str, object] | NotFetched | Fetched,
) -> None:
    at = AtProvider(token())
    document = at.answers[CONFIGURATION]
    assert isinstance(document, dict)
    at.answers[CONFIGURATION] = {**document, **fault} if isinstance(fault, dict) else fault
    with pytest.raises(ProviderUnreachable, match="as it is set up here; tell your administrator"):
        await log_in(at).begin(NOW)


async def test_a_provider_that_is_away_is_asked_once_for_all_and_again_after_a_pause() -> None:
    at = AtProvider(token())
    document = at.answers.pop(CONFIGURATION)
    begins = log_in(at)
    for now in (NOW, NOW + 4.9):
        for refused in await asyncio.gather(*(begins.begin(now) for _ in range(20)), return_exceptions=True):
            assert isinstance(refused, ProviderUnreachable), refused
        assert len(at.sent) == 1
    at.answers[CONFIGURATION] = document
    await asyncio.gather(*(begins.begin(NOW + 5) for _ in range(20)))
    assert len(at.sent) == 3, "the document and the keys"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('issuer = "http://id.example.com"', "web.oidc.issuer must be an https:// URL"),
        ('issuer = "https://id.example.com"', "set web.oidc.client_id"),
        ('scopes = ["email"]', "web.oidc.scopes must have openid"),
        ('isuer = "https://id.example.com"', "there is no setting 'web.oidc.isuer'"),
        ("claim = 1", "web.oidc.claim must be text"),
    ],
)
def test_settings_that_can_not_work_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "outgate.toml").write_text(f"[web.oidc]\n{text}\n")
    with pytest.raises(config.ConfigError, match=said):
        config.load(tmp_path)


async def test_an_answer_of_another_issuer_is_refused() -> None:
    at = AtProvider(token())
    with pytest.raises(ProviderLogInFailed, match="another provider"):
        await log_in(at).end(PENDING, "state=state&code=x&iss=https://id.evil.example", NOW)
