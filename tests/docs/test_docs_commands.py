"""The commands in the docs work: every `sh` block of a page runs, in order, in one data directory."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("set-up.md", "alice@dominiopartner.example"),
        ("administration.md", "the audit trail is whole"),
        ("operating.md", "something is wrong"),
    ],
)
def test_a_page_runs_from_top_to_bottom(tmp_path: Path, page: str, says: str) -> None:
    blocks = _blocks(page)
    assert len(blocks) >= 5
    before = [] if page == "set-up.md" else _blocks("set-up.md")[:2]  # who reads the others has done that
    script = "set -e\n" + "".join([*before, *blocks]).replace("/var/lib/outgate", str(tmp_path / "outgate"))
    for name in ("alice", "partner"):
        (tmp_path / f"{name}.password").write_text(f"{name}-has-a-secret\n")
    # Not traced: a hundred commands that have tests of their own would take half as long again.
    ours = ("OUTGATE_", "COVERAGE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout


def _blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_links_between_the_docs_lead_somewhere() -> None:
    pages = [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_leads_to_every_page() -> None:
    named = set(re.findall(r"\]\(docs/([^)#/]+\.md)\)", (DOCS.parent / "README.md").read_text()))
    assert named == {page.name for page in DOCS.glob("*.md")}
