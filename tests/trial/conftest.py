"""The trial's machine: a bare Debian 12 with the wheel in /root, and the others' servers beside it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.bare_debian import BareDebian, bare_root
from lab.pages import ROOT

OTHERS = ("postfix", "dovecot-core", "dnsmasq", "swaks", "libnet-ssleay-perl", "openssl", "curl", "iproute2")
ON_THE_PAGE = ("python3-venv", "ca-certificates")
_EXTRAS = ("ldap", "oidc", "diagnostics")


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareDebian]:
    """Booted, with the others' servers running; nothing of Outgate is installed yet."""
    if os.geteuid() != 0:
        pytest.fail("the trial boots a Debian of its own, which needs root")
    wheels = sorted((ROOT / "dist").glob("outgate-*.whl"))
    if not wheels:
        pytest.fail("there is no wheel to try; run `make trial`, or `make wheel` before")
    brought = {
        wheels[-1]: "/root/outgate-0.1.0-py3-none-any.whl",
        ROOT / "lab" / "others.sh": "/root/others.sh",
        _packages(tmp_path_factory.mktemp("wheels")): "/srv/packages",
    }
    with BareDebian(bare_root(OTHERS, ON_THE_PAGE), brought) as booted:
        booted.run("sh /root/others.sh")
        # In place of the Python Package Index, which no container without a network reaches.
        booted.run("printf '[global]\\nno-index = true\\nfind-links = /srv/packages\\n' > /etc/pip.conf")
        yield booted


def _packages(folder: Path) -> Path:
    """What the wheel depends on, in the versions of the lock."""
    extras = [part for extra in _EXTRAS for part in ("--extra", extra)]
    lock = folder / "requirements.txt"
    uv = Path(sys.executable).parent / "uv"
    exported = [str(uv), "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", *extras, "-o", str(lock)]
    subprocess.run(exported, cwd=ROOT, check=True, timeout=60)
    build = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--require-hashes", "--use-pep517"]
    subprocess.run([*build, "--wheel-dir", str(folder), "--requirement", str(lock)], check=True, timeout=300)
    return folder
