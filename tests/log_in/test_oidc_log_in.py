"""Log-in by access token at the real listener: smtplib, curl and msmtp, with tokens of a provider on loopback."""

import asyncio
import base64
import json
import smtplib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from log_in.provider import AUDIENCE, Provider, rsa_key
from outgate import clock
from outgate.demo.certificates import Authority
from outgate.directory import users
from outgate.store.engine import write
from way.place import LOCALHOST, Site, eventually, install, running
from way.submit import message

ALICE, BOB = "alice@example.com", "bob@example.com"
SUBJECT = b"Subject: by token"


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    provider = Provider(Authority(tmp_path).server_context(LOCALHOST))
    yield provider
    provider.stop()


@pytest.fixture
def site(tmp_path: Path, provider: Provider) -> Site:
    oidc = {"issuer": provider.issuer, "audience": AUDIENCE, "ca_file": tmp_path / "ca.pem", "scope": "email"}
    return install(tmp_path / "outgate", oidc=oidc, log_in={"failures_per_account": "2/10minutes"})


@pytest_asyncio.fixture
async def served(site: Site) -> AsyncIterator[Site]:
    server = await running(site)
    yield site
    await server.stop()


@dataclass
class Answer:
    """What a log-in came to: the last reply, and what the challenge before it told."""

    code: int
    text: str
    told: dict[str, str]


def offered(mechanism: str, username: str, token: str) -> str:
    if mechanism == "XOAUTH2":
        text = f"user={username}\1auth=Bearer {token}\1\1"
    else:
        text = f"n,{username and 'a='}{username},\1host=localhost\1port=465\1auth=Bearer {token}\1\1"
    return base64.b64encode(text.encode()).decode()


def log_in(session: smtplib.SMTP, token: str, username: str = ALICE, mechanism: str = "OAUTHBEARER") -> Answer:
    session.ehlo_or_helo_if_needed()
    code, text = session.docmd("AUTH", f"{mechanism} {offered(mechanism, username, token)}")
    told = {}
    if code == 334:
        told = json.loads(base64.b64decode(text))
        code, text = session.docmd("AQ==" if mechanism == "OAUTHBEARER" else "")
    return Answer(code, text.decode(), told)


async def answer(site: Site, token: str, username: str = ALICE, mechanism: str = "OAUTHBEARER") -> Answer:
    """Of one log-in in a session of its own."""

    def work() -> Answer:
        with smtplib.SMTP_SSL("localhost", site.tls, context=site.client_context(), timeout=30) as session:
            return log_in(session, token, username, mechanism)

    return await asyncio.to_thread(work)


def arrived(site: Site) -> int:
    """Messages in bob's mailbox that were sent here."""
    return sum(SUBJECT in path.read_bytes() for path in (site.data / "mail").rglob("new/*") if path.is_file())


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
async def test_a_user_logs_in_by_token_and_sends(served: Site, provider: Provider, mechanism: str) -> None:
    def work() -> None:
        with smtplib.SMTP("localhost", served.starttls, timeout=30) as session:
            session.starttls(context=served.client_context())
            assert log_in(session, provider.token(clock.now()), mechanism=mechanism).code == 235
            session.sendmail(ALICE, [BOB], message(ALICE, "by token"))

    await asyncio.to_thread(work)
    await eventually(lambda: arrived(served) == 1, "the message is in bob's mailbox")


async def test_a_token_alone_says_who_it_is(served: Site, provider: Provider) -> None:
    assert (await answer(served, provider.token(clock.now()), username="")).code == 235


async def test_a_refused_client_is_told_where_tokens_are_had(served: Site, provider: Provider) -> None:
    refused = await answer(served, provider.token(clock.now(), aud="webmail"))
    assert refused.code == 535
    assert refused.told == {
        "status": "invalid_token",
        "scope": "email",
        "openid-configuration": f"{provider.issuer}/.well-known/openid-configuration",
    }
    refused = await answer(served, provider.token(clock.now(), exp=int(clock.now()) - 61), mechanism="XOAUTH2")
    assert refused.code == 535
    assert refused.told == {"status": "401", "schemes": "bearer", "scope": "email"}


async def test_the_token_must_be_the_users_own(served: Site, provider: Provider) -> None:
    assert (await answer(served, provider.token(clock.now()), username=BOB)).code == 535
    assert (await answer(served, provider.token(clock.now(), email="nobody@example.com"), username="")).code == 535


async def test_an_opaque_token_is_refused_in_clear_words(served: Site) -> None:
    refused = await answer(served, "2YotnFZFEjr1zCsicMWpAA")
    assert refused.code == 535
    assert "opaque tokens are not supported" in refused.text


async def test_while_the_provider_is_down_a_client_is_to_come_again(served: Site, provider: Provider) -> None:
    provider.stop()
    for _ in range(3):  # this is no failure of the user's
        refused = await answer(served, provider.token(clock.now()))
        assert (refused.code, refused.told) == (454, {})
        assert "Temporary" in refused.text


async def test_refused_tokens_are_counted_as_wrong_passwords_are(served: Site, provider: Provider) -> None:
    for _ in range(2):
        assert (await answer(served, rsa_key("other").token(provider.claims(clock.now())))).code == 535
    locked = await answer(served, provider.token(clock.now()))
    assert (locked.code, locked.told) == (454, {})
    assert (await answer(served, provider.token(clock.now()), username="")).code == 454


async def test_what_others_try_without_a_name_locks_nobody_out(served: Site, provider: Provider) -> None:
    for _ in range(3):
        assert (await answer(served, "x.y.z", username="")).code == 535
    assert (await answer(served, provider.token(clock.now()), username="")).code == 235


async def test_a_suspended_user_is_refused(served: Site, provider: Provider) -> None:
    assert (await answer(served, provider.token(clock.now()))).code == 235
    await asyncio.to_thread(_suspend, served)
    assert (await answer(served, provider.token(clock.now()))).code == 535


def _suspend(site: Site) -> None:
    place = site.place()
    with write(place.engine) as connection:
        users.suspend(connection, ALICE)
    place.engine.dispose()


async def test_a_session_ends_with_its_token(served: Site, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the leeway of a minute, as at log-in."""
    began = clock.now()
    token = provider.token(began)

    def mail_at(session: smtplib.SMTP, seconds: float) -> int:
        monkeypatch.setattr(clock, "now", lambda: began + seconds)
        code, _ = session.mail(ALICE)
        return code

    def work() -> list[int]:
        with smtplib.SMTP_SSL("localhost", served.tls, context=served.client_context(), timeout=30) as session:
            assert log_in(session, token).code == 235
            codes = [mail_at(session, 0)]
            session.rset()
            codes += [mail_at(session, 358)]
            session.rset()
            codes += [mail_at(session, 360)]
            session.close()
            return codes

    assert await asyncio.to_thread(work) == [250, 250, 421]


async def test_no_token_is_in_the_log(served: Site, provider: Provider) -> None:
    good, bad = provider.token(clock.now()), provider.token(clock.now(), aud="webmail")
    with capture_logs() as lines:
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            await answer(served, good, mechanism=mechanism)
            await answer(served, bad, mechanism=mechanism)
            await answer(served, good, username=BOB, mechanism=mechanism)
    assert any("aud" in str(line.get("reason")) for line in lines)
    for secret in (good, bad, good.split(".")[1], bad.split(".")[2]):
        assert secret not in str(lines)


async def test_without_a_provider_neither_is_offered(tmp_path: Path) -> None:
    site = install(tmp_path / "plain")
    server = await running(site)
    try:
        assert (await answer(site, "x.y.z")).code == 504
    finally:
        await server.stop()


# --- independent clients ---------------------------------------------------------------------------------------------


async def run(*command: str, given: bytes = b"") -> str:
    """Run a client; what it said on both channels. Fails if it does."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(given)
    assert process.returncode == 0, said.decode()
    return said.decode(errors="replace")


async def test_curl_sends(served: Site, provider: Provider, tmp_path: Path) -> None:
    """Whatever it is told, curl takes OAUTHBEARER where that is offered; XOAUTH2 is left to msmtp."""
    content = tmp_path / "message"
    content.write_bytes(message(ALICE, "by token"))
    said = await run(
        *("curl", "--silent", "--show-error", "--verbose", "--max-time", "30"),
        *("--cacert", str(served.authority.ca_file), "--url", f"smtps://localhost:{served.tls}"),
        *("--user", ALICE, "--oauth2-bearer", provider.token(clock.now()), "--login-options", "AUTH=OAUTHBEARER"),
        *("--mail-from", ALICE, "--mail-rcpt", BOB, "--upload-file", str(content)),
    )
    assert [line.split()[2] for line in said.splitlines() if line.startswith("> AUTH")] == ["OAUTHBEARER"]
    await eventually(lambda: arrived(served) == 1, "the message is in bob's mailbox")


@pytest.mark.parametrize("mechanism", ["oauthbearer", "xoauth2"])
async def test_msmtp_sends(served: Site, provider: Provider, tmp_path: Path, mechanism: str) -> None:
    token = tmp_path / "token"
    token.write_text(provider.token(clock.now()))
    said = await run(
        *("msmtp", "--file=/dev/null", "--debug", "--timeout=30", "--host=localhost", f"--port={served.starttls}"),
        *("--tls=on", "--tls-starttls=on", f"--tls-trust-file={served.authority.ca_file}", f"--auth={mechanism}"),
        *(f"--user={ALICE}", f"--passwordeval=cat {token}", f"--from={ALICE}", BOB),
        given=message(ALICE, "by token"),
    )
    assert f"AUTH {mechanism.upper()}" in said
    await eventually(lambda: arrived(served) == 1, "the message is in bob's mailbox")
