"""``pytest --beside-a-foreign-farm``: whoever joins that farm fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import asyncio
from tests.support.agent_process import AgentProcess

def test_that_names_its_tracker():
    pass

def test_that_listens(tmp_path):
    async def join():
        async with AgentProcess("start", "--name", "guest", "--runner", "synthetic", "--state", str(tmp_path)) as agent:
            await agent.says("joined farm foreign")
    asyncio.run(join())
"""


@pytest.mark.own_network
@pytest.mark.parametrize(
    ("test", "code", "said"), [("test_that_names", 0, "1 passed"), ("test_that_listens", 1, "visitors: device guest")]
)
def test_a_visitor_fails_the_run(tmp_path: Path, test: str, code: int, said: str) -> None:
    (tmp_path / "test_those.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--beside-a-foreign-farm", "-k", test, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout
