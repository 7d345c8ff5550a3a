"""npm's certified `oidc-provider` on loopback, a user's browser at it, and the question that a mail server asks it."""

import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from bench.scratch import free_port

from node_packages import installed

FOLDER = Path(__file__).parent / "provider"


class RealProvider:
    """Runs at `issuer`."""

    def __init__(self, port: int, authority: Path) -> None:
        self.authority, self.context = authority, ssl.create_default_context(cafile=str(authority))
        self.issuer = f"https://localhost:{port}"

    def settings(self, name: str = "example", **more: str) -> str:
        """Its table in providers.toml."""
        keys = {"label": "Example", "issuer": self.issuer, "client_id": "outgate", **more}
        lines = [f'{key} = "{value}"' for key, value in keys.items() if value]
        scopes = 'scopes = ["openid", "offline_access", "mail.send"]'
        return "\n".join([f"[{name}]", *lines, scopes, ""])

    def client(self) -> httpx2.Client:
        """A browser's, with cookies."""
        return httpx2.Client(verify=self.context, trust_env=False, timeout=30, follow_redirects=False)

    def whose(self, token: str) -> str | None:
        """As a mail server asks (RFC 7662): the user's address; None if the token is good for nothing."""
        with self.client() as client:
            answer = client.post(
                f"{self.issuer}/token/introspection", data={"token": token}, auth=("gateway", "gateway secret")
            ).json()
        return str(answer["sub"]) if answer["active"] and "mail.send" in answer["scope"].split() else None

    def revoke(self, refresh_token: str, client_id: str, secret: str) -> None:
        """As its user does, in the account's settings there."""
        with self.client() as client:
            form = {"token": refresh_token, "token_type_hint": "refresh_token"}
            answer = client.post(f"{self.issuer}/token/revocation", data=form, auth=(client_id, secret))
            assert answer.status_code == 200, answer.text

    def sign_in(self, url: str, user: str, ends_at: str) -> str:
        """Walk through the provider's pages as `user` up to the address that begins with `ends_at`."""
        with self.client() as browser:
            return self.walk(browser, url, user, ends_at)

    def walk(self, browser: httpx2.Client, url: str, user: str, ends_at: str) -> str:
        """The same in a browser that may be logged in there from before."""
        page = browser.get(url)
        while True:
            if page.is_redirect:
                target = str(page.url.join(page.headers["location"]))
                if target.startswith(ends_at):
                    return target
                page = browser.get(target)
                continue
            assert page.status_code == 200, page.text
            page = self._submit(browser, page, user)

    def enter_code(self, url: str, user: str) -> None:
        """The same on another device (RFC 8628): the address has the code in it."""
        with self.client() as browser:
            page = browser.get(url)
            while "Sign-in Success" not in page.text:
                if page.is_redirect:
                    page = browser.get(str(page.url.join(page.headers["location"])))
                    continue
                assert page.status_code == 200, page.text
                page = self._submit(browser, page, user)

    def _submit(self, browser: httpx2.Client, page: httpx2.Response, user: str) -> httpx2.Response:
        """The form of a page, filled in."""
        form = re.search(r'<form[^>]*action="([^"]*)"', page.text)
        assert form, page.text
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text))
        if 'name="login"' in page.text:
            fields |= {"login": user, "password": "any"}
        return browser.post(str(page.url.join(form[1])), data=fields)


@contextmanager
def real_provider(certificate: Path, key: Path, ca: Path) -> Iterator[RealProvider]:
    """Started, and stopped at the end."""
    installed(FOLDER)
    port = free_port()
    command = ["node", str(FOLDER / "provider.mjs"), str(port), str(certificate), str(key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout
            said = []
            for line in process.stdout:
                said.append(line)
                if line.strip() == "ready":
                    break
            else:
                raise AssertionError("".join(said))
            yield RealProvider(port, ca)
        finally:
            process.terminate()
