"""The text of a new outgate.toml: every setting with its default and what it is for, as config.py describes them."""

import json
from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from outgate.config import Config, Section
from outgate.directory.errors import Invalid

_HEAD = """\
# Settings of this Outgate. What begins with '#' is the default. Read at the start of `outgate serve`.
# Users, policy and gateways are not here: see `outgate --help`.
"""


def configuration(settings: Mapping[str, object]) -> str:
    """The file with these settings (sections are mappings); raises Invalid for one that does not exist."""
    sections = {name: section for name, field in Config.model_fields.items() if (section := section_of(field))}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            _check_keys(sections.get(name), value, f"{name}.")
        elif name in sections or name == "data":
            raise Invalid(f"there is no setting '{name}'; see docs/configuration.md for those that exist")
    _check_keys(Config, settings, "")
    parts = [_HEAD, *_lines(Config, settings)]
    for name, section in sections.items():
        given = settings.get(name)
        lines = _lines(section, given if isinstance(given, Mapping) else {})
        parts += ["", f"# {summary(section)}", f"[{name}]", *lines]
    return "\n".join(parts) + "\n"


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a field of Config is, if it is one."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


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


def _check_keys(model: type[BaseModel] | None, settings: Mapping[str, object], prefix: str) -> None:
    for name in settings:
        if model is None or name not in model.model_fields:
            raise Invalid(f"there is no setting '{prefix}{name}'; see docs/configuration.md for those that exist")


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
