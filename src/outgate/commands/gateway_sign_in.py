"""A sign-in at an OAuth provider from the command line: the address to open, and the browser's return to this machine;
or a code for another device.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Final
from urllib.parse import parse_qs, urlsplit

import typer

from outgate import wiring
from outgate.cli.output import plain
from outgate.cli.shell import CommandContext
from outgate.directory.gateway_settings import GatewaySettings
from outgate.frozen import frozen
from outgate.model import Consent, GatewayKind
from outgate.oauth.providers import OAuthProvider, UnknownProvider
from outgate.oauth.sign_in import SignInFailed, SignIns
from outgate.operations.error_codes import CheckFailed

Provider = Annotated[
    str, typer.Option("--provider", help="Whom to sign in with: google, microsoft, or one of providers.toml")
]
Host = Annotated[str | None, typer.Option("--host", help="The SMTP server, else the provider's", show_default=False)]
Username = Annotated[
    str | None,
    typer.Option(
        "--username",
        help="Who signs in, if that is not the address itself: for a mailbox that people share, the person",
        show_default=False,
    ),
]
Device = Annotated[bool, typer.Option("--device", help="Sign in on another device, by a code that is entered there")]

PATIENCE: Final = 600.0  # seconds that somebody has to sign in
_LONGEST: Final = 16384  # bytes of a browser's request
_DONE: Final = "You have signed in. Close this window and go back to the command line."
_NOT_HERE: Final = "Nothing is to be seen here."


@frozen
class SignInServer:
    """The server whose user signs in."""

    provider: OAuthProvider
    host: str
    port: int
    security: str
    username: str

    def settings(self, consent: Consent) -> GatewaySettings:
        """With what the user has allowed. Raises Invalid."""
        return GatewaySettings.entered(
            self.host, self.port, self.security, self.username, consent=consent, kind=self.provider.kind
        )


def server(
    ctx: CommandContext, provider: str, host: str | None, port: int | None, security: str | None, username: str
) -> SignInServer:
    """As the options say, and as the provider has it where they say nothing."""
    try:
        found = wiring.oauth_providers(ctx.installation().config).find(provider)
    except UnknownProvider as error:
        raise typer.BadParameter(str(error)) from None
    if found.kind is not GatewayKind.SMTP and (host or port or security):
        raise typer.BadParameter(f"{found.title} is not an SMTP server: leave out --host, --port and --security")
    if not host and not found.host:
        raise typer.BadParameter(f"{found.title} names no SMTP server: say --host")
    kind = security or found.security.value
    return SignInServer(found, host or found.host, port or _port(found, kind), kind, username)


def _port(provider: OAuthProvider, security: str) -> int:
    if security == provider.security.value:
        return provider.port
    return 465 if security == "ssl" else 587


def consent(ctx: CommandContext, wanted: SignInServer, *, by_device: bool) -> Consent:
    """What the user allows, now. Raises CheckFailed."""
    sign_ins = wiring.sign_ins(ctx.installation(), wanted.provider)
    way = _on_another_device(sign_ins) if by_device else _in_this_browser(sign_ins, wanted.username)
    try:
        return asyncio.run(way)
    except SignInFailed as error:
        raise CheckFailed(plain(str(error))) from None


@asynccontextmanager
async def _patience(seconds: float) -> AsyncIterator[None]:
    """Raises CheckFailed when so many have passed."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        time = f"{seconds / 60:g} minutes" if seconds % 60 == 0 and seconds > 60 else f"{seconds:.0f} seconds"
        raise CheckFailed(f"nobody has signed in within {time}") from None


def _say(text: str) -> None:
    """To a person; what programs read is on standard output."""
    typer.echo(text, err=True)


# --- in a browser on this machine ------------------------------------------------------------------------------------


async def _in_this_browser(sign_ins: SignIns, username: str) -> Consent:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    expected = ""

    def is_ours(query: str) -> bool:
        """Whether this is the browser's return; anything else on this machine may ask here, too."""
        if parse_qs(query).get("state") != [expected] or answer.done():
            return False
        answer.set_result(query)
        return True

    listener = await asyncio.start_server(
        lambda reader, writer: _answered(reader, writer, is_ours), "127.0.0.1", 0, limit=_LONGEST
    )
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        begun = await sign_ins.begin(f"http://127.0.0.1:{port}/", login_hint=username, native=True)
        expected = begun.state
        _say(f"Open this address in a browser on this machine, and sign in as {username}:\n\n{plain(begun.url)}\n")
        async with _patience(PATIENCE):
            query = await answer
        return await sign_ins.end(begun, query)


async def _answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_ours: Callable[[str], bool]) -> None:
    """One request of a browser."""
    try:
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode("ascii")
            status, text = ("200 OK", _DONE) if is_ours(urlsplit(target).query) else ("404 Not Found", _NOT_HERE)
            body = text.encode()
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
                "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
    except (OSError, ValueError, IndexError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # it went away, or speaks no HTTP
    finally:
        writer.close()


# --- on another device -----------------------------------------------------------------------------------------------


async def _on_another_device(sign_ins: SignIns) -> Consent:
    client, device = await sign_ins.begin_device()
    _say(f"Open {plain(device.verification_uri)} on any device, and enter the code: {plain(device.user_code)}")
    if device.complete_uri:
        _say(f"Or open: {plain(device.complete_uri)}")
    interval = device.interval
    async with _patience(min(PATIENCE, device.lifetime)):
        while True:
            await asyncio.sleep(interval)
            found = await sign_ins.device_consent(client, device)
            if isinstance(found, Consent):
                return found
            interval += found
