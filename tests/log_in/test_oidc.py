"""Access tokens of a real OpenID provider (over HTTPS, on loopback), judged at times that the test says."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from log_in.provider import AUDIENCE, Key, Provider, ec_key, ed25519_key, hs256, jws, rsa_key
from outgate import config
from outgate.accept import provider_documents
from outgate.accept.oidc import OidcVerifier
from outgate.accept.tokens import ProviderUnavailable, TokenRefused, Verified
from outgate.config import OidcSettings
from outgate.demo.certificates import Authority
from way.place import LOCALHOST

NOW = 1_800_000_000.0
DAY = 86400.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def provider(authority: Authority) -> Iterator[Provider]:
    provider = Provider(authority.server_context(LOCALHOST))
    yield provider
    provider.stop()


def demands(provider: Provider, **other: str) -> OidcSettings:
    return OidcSettings.model_validate({"issuer": provider.issuer, "audience": AUDIENCE, **other})


@pytest.fixture
def verifier(provider: Provider, authority: Authority) -> OidcVerifier:
    return OidcVerifier(demands(provider), authority.ca_file)


def unavailable(outcome: object) -> str:
    assert isinstance(outcome, ProviderUnavailable), outcome
    return outcome.reason


def refused(outcome: object) -> str:
    assert isinstance(outcome, TokenRefused), outcome
    return outcome.reason


# --- what is good ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [rsa_key, ec_key, ed25519_key])
async def test_a_token_of_the_provider_is_good_until_it_expires(
    provider: Provider, verifier: OidcVerifier, make: Callable[[], Key]
) -> None:
    provider.keys = [rsa_key("other"), make()]
    token = provider.keys[1].token(provider.claims(NOW))
    assert await verifier.verify(token, NOW) == Verified("alice@example.com", NOW + 360)
    assert await verifier.verify(token, NOW + 359) == Verified("alice@example.com", NOW + 360)
    assert "expired" in refused(await verifier.verify(token, NOW + 361))


async def test_the_name_of_rfc_9864_is_known(provider: Provider, verifier: OidcVerifier) -> None:
    provider.keys = [ed25519_key()]
    token = provider.keys[0].token(provider.claims(NOW), alg="Ed25519")
    assert isinstance(await verifier.verify(token, NOW), Verified)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": AUDIENCE},
        {"email": "ALICE@Example.COM"},
        {"email_verified": None},
        {"nbf": NOW + 30},
        {"nonce": "n", "unknown": {"deep": [1]}},
    ],
)
async def test_claims_may_be_as_providers_have_them(
    provider: Provider, verifier: OidcVerifier, claims: dict[str, object]
) -> None:
    outcome = await verifier.verify(provider.token(NOW, **claims), NOW)
    assert outcome == Verified("alice@example.com", NOW + 360)


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": None}, {"typ": "application/at+JWT"}, {"nonce": "x" * 600}])
async def test_headers_may_be_as_providers_have_them(
    provider: Provider, verifier: OidcVerifier, header: dict[str, object]
) -> None:
    token = provider.keys[0].token(provider.claims(NOW), **header)
    assert isinstance(await verifier.verify(token, NOW), Verified)


async def test_a_token_without_key_id_is_of_the_only_key(provider: Provider, verifier: OidcVerifier) -> None:
    assert isinstance(await verifier.verify(provider.keys[0].token(provider.claims(NOW), kid=None), NOW), Verified)


async def test_another_claim_may_hold_the_address(provider: Provider, authority: Authority) -> None:
    verifier = OidcVerifier(demands(provider, claim="upn"), authority.ca_file)
    token = provider.token(NOW, upn="bob@example.com", email_verified=False)
    assert await verifier.verify(token, NOW) == Verified("bob@example.com", NOW + 360)


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"scope": "openid smtp"}, True),
        ({"scope": None, "scp": "smtp email"}, True),
        ({"scope": None, "scp": ["smtp"]}, True),
        ({"scope": "openid smtps"}, False),
        ({"scope": None}, False),
        ({"scope": 7}, False),
        ({"scope": None, "scp": {"smtp": 1}}, False),
    ],
)
async def test_a_scope_may_be_demanded(
    provider: Provider, authority: Authority, claims: dict[str, object], good: bool
) -> None:
    verifier = OidcVerifier(demands(provider, scope="smtp"), authority.ca_file)
    assert isinstance(await verifier.verify(provider.token(NOW, **claims), NOW), Verified if good else TokenRefused)


# --- what is not -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"aud": "webmail"}, "aud"),
        ({"aud": ["webmail"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": {"outgate": 1}}, "aud"),
        ({"iss": "https://elsewhere.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"exp": NOW - 60}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": str(NOW + 300)}, "exp"),
        ({"nbf": NOW + 61}, "not yet"),
        ({"email": None}, "email"),
        ({"email": ["alice@example.com"]}, "email"),
        ({"email": "alice"}, "email"),
        ({"email_verified": False}, "email_verified"),
        ({"email_verified": "false"}, "email_verified"),
        ({"cnf": {"jkt": "x"}}, "bound"),
    ],
)
async def test_a_token_that_says_something_else_is_refused(
    provider: Provider, verifier: OidcVerifier, claims: dict[str, object], word: str
) -> None:
    assert word in refused(await verifier.verify(provider.token(NOW, **claims), NOW))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "PS256"},
        {"alg": ["RS256"]},
        {"alg": None},
        {"kid": 7},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"crit": ["exp"]},
        {"crit": 7},
        {"crit": ["b64"], "b64": False},
        {"x": "x" * 5000},
    ],
)
async def test_a_header_that_is_not_one_of_access_tokens_is_refused_unasked(
    provider: Provider, verifier: OidcVerifier, header: dict[str, object]
) -> None:
    refused(await verifier.verify(provider.keys[0].token(provider.claims(NOW), **header), NOW))
    assert provider.asked == []


async def test_an_unsigned_token_is_refused(provider: Provider, verifier: OidcVerifier) -> None:
    for algorithm in ("none", "None", "RS256"):
        token = jws({"alg": algorithm, "kid": "rsa"}, provider.claims(NOW), lambda text: b"")
        refused(await verifier.verify(token, NOW))


async def test_the_public_key_is_no_secret(provider: Provider, verifier: OidcVerifier) -> None:
    """What a verifier would take for the secret of HS256, if it took the key for one."""
    (key,) = provider.keys
    assert isinstance(key.private, rsa.RSAPrivateKey)
    public = key.private.public_key()
    secrets = [
        public.public_bytes(encoding, form)
        for encoding in (Encoding.PEM, Encoding.DER)
        for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
    ]
    for secret in [*secrets, key.public()["n"].encode(), json.dumps(key.public()).encode()]:
        for algorithm in ("HS256", "RS256"):
            token = jws({"alg": algorithm, "kid": key.kid}, provider.claims(NOW), hs256(secret))
            refused(await verifier.verify(token, NOW))


async def test_a_secret_among_the_keys_is_passed_over(provider: Provider, verifier: OidcVerifier) -> None:
    keys = [{"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}, {"kty": "RSA"}, 7, {"kty": "ML"}, provider.keys[0].public()]
    provider.answers["/certs"] = (200, {}, json.dumps({"keys": keys}).encode())
    assert isinstance(await verifier.verify(provider.token(NOW), NOW), Verified)
    token = jws({"alg": "HS256", "kid": "oct"}, provider.claims(NOW), hs256(b"secret"))
    refused(await verifier.verify(token, NOW))


async def test_a_signature_by_another_key_is_refused(provider: Provider, verifier: OidcVerifier) -> None:
    other = Key("rsa", rsa_key("other").private)
    claims = provider.claims(NOW)
    assert "signature" in refused(await verifier.verify(other.token(claims), NOW))
    hints = {"jwk": other.public(), "jku": "https://localhost:1/certs", "x5u": "https://localhost:1/x"}
    assert "signature" in refused(await verifier.verify(other.token(claims, **hints), NOW))
    assert "signature" in refused(await verifier.verify(ec_key("rsa").token(claims), NOW))
    assert not any("localhost:1" in path for path in provider.asked)


async def test_a_changed_token_is_refused(provider: Provider, verifier: OidcVerifier) -> None:
    _, payload, _ = provider.token(NOW, email="bob@example.com").split(".")
    header, _, signature = provider.token(NOW).split(".")
    refused(await verifier.verify(f"{header}.{payload}.{signature}", NOW))


async def test_claims_that_are_none_are_refused(provider: Provider, verifier: OidcVerifier) -> None:
    key = provider.keys[0]
    payloads: list[object] = [[], "x", 7, None]
    for payload in payloads:
        refused(await verifier.verify(jws({"alg": "RS256", "kid": "rsa"}, payload, key.sign), NOW))


async def test_an_opaque_token_is_refused_in_clear_words(provider: Provider, verifier: OidcVerifier) -> None:
    outcome = await verifier.verify("2YotnFZFEjr1zCsicMWpAA", NOW)
    assert isinstance(outcome, TokenRefused)
    assert "opaque" in outcome.told
    assert provider.asked == []


noise = st.one_of(
    st.text(max_size=100),
    st.lists(st.text(alphabet="abcXYZ019-_=", max_size=40), min_size=3, max_size=3).map(".".join),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "x"]), inner, max_size=4)
        ),
    ).map(lambda header: jws(header, {}, lambda text: b"x")),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(noise, max_size=5))
def test_no_text_passes_for_a_token(provider: Provider, verifier: OidcVerifier, texts: list[str]) -> None:
    async def judge() -> list[object]:
        return [await verifier.verify(text, NOW) for text in texts]

    assert not any(isinstance(outcome, Verified) for outcome in asyncio.run(judge()))


async def test_deep_nesting_breaks_nothing(provider: Provider, verifier: OidcVerifier) -> None:
    deep = b'{"alg":' + b"[" * 1500 + b"]" * 1500 + b"}"
    refused(await verifier.verify(f"{_b64(deep)}.{_b64(b'{}')}.x", NOW))


def _b64(data: bytes) -> str:
    return jws(0, 0, lambda text: data).split(".")[2]


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_keys_are_asked_for_once(provider: Provider, verifier: OidcVerifier) -> None:
    tokens = [provider.token(NOW) for _ in range(20)]
    outcomes = await asyncio.gather(*(verifier.verify(token, NOW) for token in tokens))
    assert all(isinstance(outcome, Verified) for outcome in outcomes)
    assert provider.asked == ["/realms/example/.well-known/openid-configuration", "/certs"]


async def test_a_new_key_is_found_within_a_minute_and_unknown_ones_ask_no_more_often(
    provider: Provider, verifier: OidcVerifier
) -> None:
    old, new = provider.keys[0], rsa_key("new")
    assert isinstance(await verifier.verify(old.token(provider.claims(NOW)), NOW), Verified)
    provider.keys = [new]
    for second in range(0, 60, 5):
        assert "no such key" in refused(await verifier.verify(new.token(provider.claims(NOW)), NOW + second))
    assert len(provider.asked) == 2
    assert isinstance(await verifier.verify(new.token(provider.claims(NOW)), NOW + 60), Verified)
    assert len(provider.asked) == 4
    assert "no such key" in refused(await verifier.verify(old.token(provider.claims(NOW)), NOW + 61))


async def test_a_withdrawn_key_is_forgotten_within_an_hour(provider: Provider, verifier: OidcVerifier) -> None:
    old = provider.keys[0]
    assert isinstance(await verifier.verify(old.token(provider.claims(NOW)), NOW), Verified)
    provider.keys = [rsa_key("new")]
    late = NOW + 3601
    assert "no such key" in refused(await verifier.verify(old.token(provider.claims(late)), late))


async def test_known_keys_serve_for_a_day_while_the_provider_is_down(
    provider: Provider, verifier: OidcVerifier
) -> None:
    assert isinstance(await verifier.verify(provider.token(NOW), NOW), Verified)
    provider.stop()
    for later in (NOW + 60, NOW + 7200, NOW + DAY - 1):
        assert isinstance(await verifier.verify(provider.token(later), later), Verified)
    later = NOW + DAY + 1
    unavailable(await verifier.verify(provider.token(later), later))


async def test_a_key_that_may_be_new_can_not_be_judged_while_the_provider_is_down(
    provider: Provider, verifier: OidcVerifier
) -> None:
    assert isinstance(await verifier.verify(provider.token(NOW), NOW), Verified)
    provider.stop()
    unavailable(await verifier.verify(rsa_key("new").token(provider.claims(NOW)), NOW + 60))
    assert isinstance(await verifier.verify(provider.token(NOW), NOW + 61), Verified)


async def test_a_provider_that_comes_back_is_asked_again(provider: Provider, verifier: OidcVerifier) -> None:
    provider.stop()
    unavailable(await verifier.verify(provider.token(NOW), NOW))
    provider.start()
    unavailable(await verifier.verify(provider.token(NOW), NOW + 4))
    assert isinstance(await verifier.verify(provider.token(NOW), NOW + 5), Verified)


async def test_only_the_issuers_own_discovery_counts(provider: Provider, authority: Authority) -> None:
    """`issuer` must be the same, letter for letter (OpenID Connect Discovery 1.0 section 4.3)."""
    verifier = OidcVerifier(demands(provider, issuer=f"{provider.issuer}/"), authority.ca_file)
    assert "another issuer" in unavailable(await verifier.verify(provider.token(NOW), NOW))


async def test_a_provider_without_a_trusted_certificate_is_not_asked(provider: Provider) -> None:
    assert "certificate" in unavailable(await OidcVerifier(demands(provider)).verify(provider.token(NOW), NOW)).lower()
    assert provider.asked == []


DISCOVERY = "/realms/example/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "status", "headers", "body", "word"),
    [
        (DISCOVERY, 302, {"Location": "/other"}, b"", "302"),
        (DISCOVERY, 500, {}, b"{}", "500"),
        (DISCOVERY, 200, {}, b"<html>", "JSON"),
        (DISCOVERY, 200, {}, b"[]", "JSON"),
        (DISCOVERY, 200, {}, b"[" * 100_000, "recursion"),
        (DISCOVERY, 200, {}, b" " * 300_000, "more than"),
        ("/certs", 200, {}, b'{"keys": []}', "no key"),
        ("/certs", 200, {}, b'{"keys": 7}', "no key"),
        ("/certs", 200, {"Content-Encoding": "gzip"}, b"\x1f\x8b", "JSON"),
    ],
)
async def test_an_answer_that_is_none_is_no_answer(
    provider: Provider, verifier: OidcVerifier, path: str, status: int, headers: dict[str, str], body: bytes, word: str
) -> None:
    provider.answers[path] = status, headers, body
    assert word in unavailable(await verifier.verify(provider.token(NOW), NOW))


@pytest.mark.parametrize("location", ["http://localhost/certs", "https://", 7, None, "https://[x/"])
async def test_keys_are_had_from_an_https_address_alone(
    provider: Provider, verifier: OidcVerifier, location: object
) -> None:
    document = {"issuer": provider.issuer, "jwks_uri": location}
    provider.answers[DISCOVERY] = 200, {}, json.dumps(document).encode()
    unavailable(await verifier.verify(provider.token(NOW), NOW))


async def test_a_provider_that_hangs_is_not_waited_for(
    provider: Provider, verifier: OidcVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_documents, "STEP", 0.1)
    token = provider.token(NOW)
    port = int(provider.issuer.split(":")[2].split("/")[0])
    provider.stop()
    with socket.create_server(("127.0.0.1", port)):  # connects, and no more
        unavailable(await verifier.verify(token, NOW))


async def test_no_proxy_of_the_environment_is_used(
    provider: Provider, verifier: OidcVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert isinstance(await verifier.verify(provider.token(NOW), NOW), Verified)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('issuer = "http://id.example.com"\naudience = "outgate"', "https://"),
        ('issuer = "https://id.example.com"', "audience"),
    ],
)
def test_settings_that_would_let_others_in_are_refused(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "outgate.toml").write_text(f"[oidc]\n{text}\n")
    with pytest.raises(config.ConfigError, match=word):
        config.load(tmp_path)


def test_a_missing_file_of_authorities_is_named(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=r"oidc.ca_file: .*none.pem"):
        OidcVerifier(OidcSettings(issuer="https://id.example.com", audience="x"), tmp_path / "none.pem")
