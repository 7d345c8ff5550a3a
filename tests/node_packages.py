"""npm's packages for tests with Node.js, installed by their lock, once for all runs.

python -m node_packages         # those of all tests, before one of them has to wait for a registry
"""

import fcntl
import subprocess
from pathlib import Path


def installed(folder: Path) -> Path:
    """The folder's `node_modules`; whoever comes meanwhile waits."""
    packages = folder / "node_modules"
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (packages / ".package-lock.json").exists():
            command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    return packages


if __name__ == "__main__":
    for found in sorted(Path(__file__).parent.glob("*/**/package-lock.json")):
        if "node_modules" not in found.parts:
            installed(found.parent)
