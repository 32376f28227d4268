"""mDNS where nobody can choose the interface of a multicast, as under QEMU's user emulation: the routes choose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.own_network import apart, missing

ROOT = Path(__file__).parents[2]
PROGRAM = """
import errno, os, socket
from tvm_farm.protos.discovery import announce, browse

set_option = socket.socket.setsockopt
refused = []

def refuse(self, level, name, *value):
    if (level, name) == (socket.IPPROTO_IP, socket.IP_MULTICAST_IF):
        refused.append(name)
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
    return set_option(self, level, name, *value)

with announce("lab", 9195, "1.0", ["127.0.0.1"], interface="127.0.0.1"):
    socket.socket.setsockopt = refuse
    print(*(f"{tracker.farm} at {tracker.address}" for tracker in browse(5.0)), "refused:", len(refused))
    socket.socket.setsockopt = set_option
"""


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_tracker_is_found_where_no_interface_can_be_chosen() -> None:
    done = subprocess.run(
        apart([sys.executable, "-W", "ignore::ResourceWarning", "-c", PROGRAM]),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "lab at 127.0.0.1:9195 refused: 1\n", done.stderr
