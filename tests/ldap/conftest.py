"""slapd with thirty people, for each test anew; its settings for outgate.toml."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ldap.slapd import PEOPLE, READER, Slapd
from outgate.demo.certificates import Authority


@pytest.fixture
def slapd_folder() -> Iterator[Path]:
    """A short path, since it holds a socket."""
    with TemporaryDirectory(prefix="outgate-slapd-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def slapd(slapd_folder: Path, tmp_path: Path) -> Iterator[Slapd]:
    """Running, with user0 to user29."""
    (tmp_path / "ca").mkdir()
    server = Slapd(slapd_folder / "slapd", Authority(tmp_path / "ca"))
    server.start()
    try:
        server.seed(30)
        yield server
    finally:
        server.stop()


@pytest.fixture
def settings(slapd: Slapd) -> dict[str, object]:
    """The table `ldap` of a configuration that uses it."""
    return {
        "url": slapd.ldaps,
        "bind_dn": READER,
        "bind_password_file": str(slapd.secret_file),
        "base": PEOPLE,
        "ca_file": str(slapd.ca_file),
        "timeout": 5,
    }
