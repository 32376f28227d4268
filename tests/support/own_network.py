"""A network of its own for a test: a loopback where no other test, farm or agent of this machine is heard."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.own_home import PYTESTS_ROOT

__all__ = ["apart", "is_apart", "missing", "run_test_apart", "without_network"]

_ROOT = Path(__file__).parents[2]
_UNSHARED = ["unshare", "--user", "--map-root-user", "--net"]
_ENTER = [*_UNSHARED, "sh", "-c"]
_NETWORK = "ip link set lo multicast on && ip link set lo up && ip route add 224.0.0.0/4 dev lo"
_INSIDE = "FARM_TESTS_NETWORK"


@functools.cache
def missing() -> str:
    """Why there can be none here, "" where there can."""
    for program, package in (("ip", "iproute2"), ("unshare", "util-linux")):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: {package})"
    done = subprocess.run([*_ENTER, _NETWORK], capture_output=True, check=False)
    return "" if done.returncode == 0 else "this kernel lets no user namespace have a network of its own"


def apart(command: Sequence[str]) -> list[str]:
    """What runs ``command`` in a new network."""
    return [*_ENTER, f'{_NETWORK} && exec "$0" "$@"', *command]


def without_network(command: Sequence[str]) -> list[str]:
    """What runs ``command`` where no interface is up, loopback neither."""
    return [*_UNSHARED, *command]


def is_apart() -> bool:
    """Whether this is a pytest that ``run_test_apart`` started."""
    return _INSIDE in os.environ


def run_test_apart(nodeid: str) -> None:
    """Run one test in a pytest and a network of its own. Fails with what that one said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") or name == PYTESTS_ROOT}
    done = subprocess.run(
        apart([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", nodeid]),
        env={**kept, _INSIDE: "1"},
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"in a network of its own:\n{done.stdout}"
