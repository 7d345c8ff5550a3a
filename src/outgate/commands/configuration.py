"""The text of a new outgate.toml: every setting with its default and what it is for, as config.py describes them."""

import json
from collections.abc import Iterator, Mapping

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from outgate.config import Config, Section, section_of
from outgate.directory.errors import Invalid

_HEAD = """\
# Settings of this Outgate. What begins with '#' is the default. Read at the start of `outgate serve`.
# Users, policy and gateways are not here: see `outgate --help`.
"""


def configuration(settings: Mapping[str, object]) -> str:
    """The file with these settings (sections are mappings); raises Invalid for one that does not exist."""
    _check_keys(Config, settings, "")
    parts = [_HEAD, *_lines(Config, settings)]
    for name, section in sections(Config):
        parts += ["", f"# {summary(section)}", f"[{name}]", *_lines(section, _given(settings, name))]
    return "\n".join(parts) + "\n"


def sections(model: type[BaseModel], within: str = "") -> Iterator[tuple[str, type[Section]]]:
    """All sections with their full names, those in a section after it."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section:
            yield f"{within}{name}", section
            yield from sections(section, f"{within}{name}.")


def summary(model: type[BaseModel]) -> str:
    """What a section is for."""
    return (model.__doc__ or "").strip().splitlines()[0]


def settings_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The settings of Config or a section, without the sections in it."""
    return {name: field for name, field in model.model_fields.items() if name != "data" and not section_of(field)}


def toml(value: object) -> str:
    """A value as TOML: its strings and lists are JSON's, its inline tables have another separator."""
    return json.dumps(value, separators=(", ", " = "))


def default_of(field: FieldInfo) -> object:
    """A setting's default; None if it has none that is the same everywhere."""
    return None if field.default_factory else field.default


def _check_keys(model: type[BaseModel], settings: Mapping[str, object], prefix: str) -> None:
    for name, value in settings.items():
        field = model.model_fields.get(name)
        section = section_of(field) if field else None
        if field is None or name == "data" or (section and not isinstance(value, Mapping)):
            raise Invalid(f"there is no setting '{prefix}{name}'; see docs/configuration.md for those that exist")
        if section and isinstance(value, Mapping):
            _check_keys(section, value, f"{prefix}{name}.")


def _given(settings: Mapping[str, object], section: str) -> Mapping[str, object]:
    """What is given of a section."""
    found: object = settings
    for name in section.split("."):
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _lines(model: type[BaseModel], settings: Mapping[str, object]) -> list[str]:
    lines = []
    for name, field in settings_of(model).items():
        if field.description:
            lines.append(f"# {field.description}")
        if name in settings:
            lines.append(f"{name} = {toml(settings[name])}")
        else:
            default = default_of(field)
            lines.append(f"#{name} =" if default is None else f"#{name} = {toml(default)}")
    return lines
