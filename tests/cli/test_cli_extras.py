"""Without the packages of an extra, what needs them says in one line how to install them, and all else works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.program import ALICE, PARTNER, Program
from outgate.cli.status import Status

# By extra, the modules that are missing without it.
MODULES = {
    "ldap": ("ldap3",),
    "oidc": ("httpx2",),
    "scim": ("scim2_models", "scim2_server"),
    "diagnostics": ("spf", "ahocorasick_rs"),
    "demo": ("aiosmtpd", "dnslib", "dkim", "authheaders"),
}
# A module for which sys.modules has None raises ModuleNotFoundError when it is imported, as one that is not installed.
_PROGRAM = "import sys; sys.modules.update(dict.fromkeys({missing}))\nfrom outgate.cli.program import main; main()"


def run_without(extras: tuple[str, ...], data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    missing = [module for extra in extras for module in MODULES[extra]]
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(missing=missing), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OUTGATE_DATA": str(data)},
    )


def set_in_section(program: Program, section: str, line: str) -> None:
    file = program.data / "outgate.toml"
    file.write_text(file.read_text().replace(f"[{section}]\n", f"[{section}]\n{line}\n"))


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("ldap", ("ldap", "check")),
        ("ldap", ("serve",)),
        ("oidc", ("serve",)),
        ("scim", ("scim", "token", "create", "entra")),
        ("diagnostics", ("sendas", "advise", ALICE, PARTNER)),
        ("diagnostics", ("secrets", "audit")),
        ("demo", ("demo", "--once")),
    ],
)
def test_a_missing_extra_is_named_with_what_to_do(program: Program, extra: str, arguments: tuple[str, ...]) -> None:
    if extra == "ldap":
        set_in_section(program, "ldap", 'url = "ldaps://ldap.example.com"\nbase = "dc=example,dc=com"')
    if extra == "oidc":
        set_in_section(program, "oidc", 'issuer = "https://login.example.com"\naudience = "outgate"')
    ended = run_without((extra,), program.data, *arguments)
    assert (ended.returncode, ended.stdout) == (Status.UNAVAILABLE, ""), ended.stderr
    assert re.fullmatch(rf"outgate: .* {sys.prefix}/bin/pip install 'outgate\[{extra}\]'\n", ended.stderr)


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("secrets", "status"), ("sendas", "list", ALICE), ("domain", "list"), ("log",)],
)
def test_what_needs_no_extra_works_without_any(program: Program, arguments: tuple[str, ...]) -> None:
    ended = run_without(tuple(MODULES), program.data, *arguments)
    assert (ended.returncode, ended.stderr) == (Status.OK, "")
