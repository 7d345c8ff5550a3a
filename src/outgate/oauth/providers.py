"""The OAuth providers that users may sign in with: those that are shipped (providers.toml), and those of the settings.

Knows no user and asks nobody.
"""

import stat
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from outgate.config import ConfigError
from outgate.model import GatewayKind, Security
from outgate.setting_fault import demand

_Https = Annotated[str, StringConstraints(pattern=r"^(https://[^\s/?#@]+(/[^\s#]*)?)?$")]
_KEYS: Final = "issuer, or authorization_endpoint and token_endpoint"


class OAuthProvider(BaseModel):
    """One provider, and the client that this installation is to it. Endpoints that are not said are asked for at
    `issuer` (RFC 8414); without `client_id` one is registered there (RFC 7591).

    `host`, `port` and `security` are of the server that takes its tokens, where there is one for all its users; `kind`
    says whether it is an SMTP server. What a provider does not say itself is as with the provider that it is `like`.
    `trial_days` is after how many days a consent ends while the client is on trial (Google's "Testing").
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", pattern=r"^[a-z0-9][a-z0-9.-]{0,39}$")
    label: str = ""
    issuer: _Https = ""
    authorization_endpoint: _Https = ""
    token_endpoint: _Https = ""
    device_authorization_endpoint: _Https = ""
    registration_endpoint: _Https = ""
    client_id: str = ""
    client_secret: str = Field("", repr=False)
    scopes: tuple[str, ...] = ("openid", "offline_access")
    authorization_parameters: dict[str, str] = {"prompt": "consent"}  # or OpenID Connect gives no refresh token
    host: str = ""
    port: int = Field(587, ge=1, le=65535)
    security: Security = Security.STARTTLS
    kind: GatewayKind = GatewayKind.SMTP
    like: str = ""
    trial_days: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _can_be_asked(self) -> "OAuthProvider":
        if not self.issuer and not (self.authorization_endpoint and self.token_endpoint):
            raise ValueError(f"it needs {_KEYS}")
        if self.kind is not GatewayKind.SMTP and not (self.host and self.security is Security.SSL):
            raise ValueError("with this kind it needs `host`, and security = 'ssl'")
        return self

    @property
    def title(self) -> str:
        """What people call it."""
        return self.label or self.name

    @property
    def is_set_up(self) -> bool:
        """Whether users may sign in with it: those that are shipped have no client of this installation."""
        return bool(self.client_id) or self.name not in shipped()


class UnknownProvider(Exception):
    """There is no such provider here; the text says which there are, and what to do."""


class OAuthProviders:
    """The providers by name."""

    def __init__(self, providers: Mapping[str, OAuthProvider]) -> None:
        self._by_name = dict(providers)

    def all(self) -> list[OAuthProvider]:
        """Those that users may sign in with."""
        return [one for one in self._by_name.values() if one.is_set_up]

    def find(self, name: str) -> OAuthProvider:
        """The one of this name. Raises UnknownProvider."""
        found = self._by_name.get(name)
        if found is None or not found.is_set_up:
            known = ", ".join(one.name for one in self.all()) or "none"
            raise UnknownProvider(
                f"'{name[:40]}' is not an OAuth provider that is set up here (there are: {known});"
                " docs/gateways-oauth.md says how the administrator sets one up"
            )
        return found


@cache
def shipped() -> Mapping[str, Mapping[str, Any]]:
    """Those of providers.toml, as it has them."""
    return tomllib.loads(resources.files("outgate.oauth").joinpath("providers.toml").read_text(encoding="utf-8"))


def load(path: Path) -> OAuthProviders:
    """The shipped ones with what the file of the settings adds; the file need not be there. Raises ConfigError."""
    given = _read(path)
    names = [*shipped(), *(name for name in given if name not in shipped())]
    own = {name: {**shipped().get(name, {}), **given.get(name, {})} for name in names}
    tables = {name: {**_like(path, name, own), **table} for name, table in own.items()}
    return OAuthProviders({name: _made(path, name, table) for name, table in tables.items()})


def _like(path: Path, name: str, tables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """What a table takes from the one that it names: another way to the same provider."""
    other = tables[name].get("like")
    if other is None:
        return {}
    if not isinstance(other, str) or other not in tables or "like" in tables[other]:
        raise ConfigError(f"{path}: [{name}] like must be the name of a provider that is described by itself")
    return tables[other]


def _read(path: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            found = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    if mode & 0o077 and any(isinstance(one, Mapping) and one.get("client_secret") for one in found.values()):
        raise ConfigError(f"{path} has mode {mode:03o}, so others can read the client's secret; run: chmod 600 {path}")
    for name, table in found.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"{path}: {name} stands outside of a provider's table, as in [google]")
    return found


def _made(path: Path, name: str, table: Mapping[str, Any]) -> OAuthProvider:
    try:
        return OAuthProvider.model_validate({**table, "name": name})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        text = _FAULTS.get(fault["type"]) or demand(fault, key)
        raise ConfigError(f"{path}: [{name}] {key} {text}".replace("  ", " ")) from None


_FAULTS: Final = {
    "extra_forbidden": "is no key of a provider; docs/gateways-oauth.md has them",
    "string_pattern_mismatch": "is not of the right form: a name has a-z, 0-9, '-' and '.'; a URL begins with https://",
}
