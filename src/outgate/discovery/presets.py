"""The providers that are shipped with Outgate (presets.toml), by domain and by mail exchanger."""

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from outgate.discovery.candidates import UserName
from outgate.model import Security

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]


class Preset(BaseModel):
    """One provider. `mx` are the endings of exchangers' names that betray it, for domains that its customers bring.
    `sign_in` is the provider's name in oauth/providers.toml, where one can sign in there in place of a password.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=2)
    domains: tuple[_Name, ...] = ()
    mx: tuple[_Name, ...] = ()
    host: _Name
    port: int = Field(ge=1, le=65535)
    security: Security
    username: UserName = UserName.ADDRESS
    hint: str = ""
    sign_in: str = ""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if not self.domains and not self.mx:
            raise ValueError(f"{self.name} has neither domains nor mx")
        return self


class Presets:
    """Answers by name, by domain, and by the names of exchangers."""

    def __init__(self, presets: tuple[Preset, ...]) -> None:
        self.all = presets
        self._by_name = {preset.name: preset for preset in presets}
        self._by_domain = {domain: preset for preset in presets for domain in preset.domains}
        self._by_exchanger = {ending: preset for preset in presets for ending in preset.mx}

    @property
    def names(self) -> list[str]:
        """As people look for them: by letter."""
        return sorted(self._by_name, key=str.casefold)

    def named(self, name: str) -> Preset | None:
        """The one that somebody has chosen."""
        return self._by_name.get(name)

    def by_domain(self, domain: str) -> Preset | None:
        """The provider whose own domain it is."""
        return self._by_domain.get(domain)

    def by_exchanger(self, host: str) -> Preset | None:
        """The provider that this exchanger betrays: the longest ending that it has, by whole labels."""
        labels = host.split(".")
        endings = (".".join(labels[start:]) for start in range(len(labels)))
        return next((self._by_exchanger[ending] for ending in endings if ending in self._by_exchanger), None)


@cache
def shipped() -> Presets:
    """Those of presets.toml."""
    text = resources.files("outgate.discovery").joinpath("presets.toml").read_text(encoding="utf-8")
    return Presets(tuple(Preset.model_validate(entry) for entry in tomllib.loads(text)["provider"]))
