"""docs/own-api.md does what it says: its `sh` blocks run with curl against a running server."""

import asyncio
import os
import re
import sys
from pathlib import Path

from api.own_site import own_api

PAGE = Path(__file__).parents[2] / "docs" / "own-api.md"


async def test_the_how_to_of_our_own_api_runs_from_top_to_bottom(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    async with own_api(tmp_path, mail=1) as own:
        script = "set -e\n" + "".join(blocks).replace("https://mail.example.com", own.api.url)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OUTGATE_", "COVERAGE_"))},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OUTGATE_DATA": str(own.site.data),
            "CURL_CA_BUNDLE": str(own.site.authority.ca_file),
            "NO_PROXY": "localhost",
        }
        shell = await asyncio.create_subprocess_exec(
            "sh", "-c", script, cwd=tmp_path, env=environment, stdout=-1, stderr=-1
        )
        out, err = await shell.communicate()
    told = out.decode()
    assert shell.returncode == 0, told + err.decode()
    assert '"recipients":2,"isDone":false,"isDryRun":true' in told
    _held, released, again = re.findall(r'\{"recipients":\d,"isDone":true[^}]*\}|\{[^}]*"status":412[^}]*\}', told)
    assert "isDone" in released
    assert "It has changed since you have read it" in again
    assert '"reason":"their maintenance"' in told
    assert '"status":4' not in told.replace('"status":412', "")
