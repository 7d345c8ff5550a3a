"""A stop that comes in the very moment in which a process begins or ends: each hears of it, and all end."""

import subprocess
import sys

PROGRAM = """
import os, signal, sys
from outgate import processes

fork, wait, begun = os.fork, os.wait, []


def told_in_the_middle():
    if begun:
        sys.exit("begun twice")
    begun.append(True)
    pid = fork()
    if where == ("parent" if pid else "child"):
        os.kill(os.getpid(), signal.SIGTERM)
    if where == "reload" and not pid:
        os.kill(os.getpid(), signal.SIGHUP)
    return pid


def told_at_an_end():
    ended = wait()
    os.kill(os.getpid(), signal.SIGTERM)
    return ended


def work(_number):
    print("works", flush=True)
    if where == "parent":
        signal.pause()


where, processes._PAUSE, os.fork = sys.argv[1], 0.0, told_in_the_middle
if where == "end":
    os.wait = told_at_an_end
processes.Processes(1, work, lambda: None).run()
"""


def _ran(where: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, where]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_stop_before_the_new_process_is_noted_reaches_it_too() -> None:
    assert _ran("parent").returncode == 0


def test_a_stop_that_a_process_gets_before_it_works_ends_it() -> None:
    """It is begun again then, since nobody has told the first one to stop."""
    done = _ran("child")
    assert "works" not in done.stdout
    assert done.stderr.splitlines()[-1:] == ["begun twice"], done.stderr


def test_a_stop_while_a_process_ends_by_itself_is_no_fault() -> None:
    done = _ran("end")
    assert (done.returncode, done.stdout) == (0, "works\n"), done.stderr


def test_a_reload_that_a_process_gets_before_it_works_does_not_end_it() -> None:
    """It has read nothing yet that might have changed."""
    done = _ran("reload")
    assert done.stdout.startswith("works\n"), done.stderr
