"""``farm`` and ``tracker`` end when they are through, whatever gRPC's threads held when they stopped."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.farm_command import environment

# As gRPC's calls are let go of: by a lock, which a thread may hold that the interpreter stopped on its way down.
PROGRAM = """
import sys, threading
from tvm_farm.tracker.cli import {name}

class Call:
    def __init__(self):
        self.lock = threading.Lock()
        threading.Thread(target=self.lock.acquire, daemon=True).start()

    def __del__(self):
        with self.lock:
            pass

sys.argv[0] = {name!r}
sys.kept = Call()
{name}()
"""


@pytest.mark.parametrize("name", ["farm", "tracker"])
@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [("--help", 0, "Usage: "), ("fly", 2, "No such command 'fly'")],
    ids=["done", "refused"],
)
def test_a_command_ends_with_its_words_written(name: str, argument: str, code: int, said: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(name=name), argument]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, said in ended.stdout + ended.stderr) == (code, True), ended
