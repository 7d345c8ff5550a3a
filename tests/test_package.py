"""What is installed is whole: `make test` runs on the wheel, which the build could have left files out of."""

from pathlib import Path

import outgate

SOURCE = Path(__file__).parents[1] / "src" / "outgate"


def _files(package: Path) -> set[str]:
    return {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_the_installed_package_has_every_file_of_the_source() -> None:
    installed = _files(Path(outgate.__file__).parent)
    assert installed == _files(SOURCE)
    assert {"py.typed", "web/templates/page.html", "discovery/presets.toml"} <= installed
