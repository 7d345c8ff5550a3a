"""What is installed is whole: `make test` runs on the wheel, which the build could have left files out of."""

import re
import sys
import tomllib
from pathlib import Path

import outgate

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "outgate"


def _files(package: Path) -> set[str]:
    return {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_the_installed_package_has_every_file_of_the_source() -> None:
    installed = _files(Path(outgate.__file__).parent)
    assert installed == _files(SOURCE)
    assert {"py.typed", "web/templates/house.html", "web/locales/it.po", "discovery/presets.toml"} <= installed


def test_the_lock_names_no_registry() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", (ROOT / "uv.lock").read_text()))
    assert hosts == {"files.invalid", "index.invalid"}


def test_the_wheel_brings_the_docs_that_errors_name() -> None:
    """They are beside the package: an installation without the source has them as well."""
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert configured["shared-data"] == {"docs": "share/doc/outgate"}
    assert (ROOT / "docs" / "configuration.md").exists()
    if SOURCE not in Path(outgate.__file__).parents:  # installed from the wheel
        assert _files(Path(sys.prefix) / "share" / "doc" / "outgate") == _files(ROOT / "docs")
