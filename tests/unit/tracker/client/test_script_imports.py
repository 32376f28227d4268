"""``tracker.client`` offers what needs TVM, and loads none of it before it is asked for."""

import subprocess
import sys

import pytest

import tracker.client

ALONE = """
import sys, tracker.client
assert set(tracker.client.__all__) == {"FarmBuilder", "FarmDatabase", "FarmRunner"}
loaded = {name.partition(".")[0] for name in sys.modules} & {"tvm", "tvm_ffi", "numpy", "grpc", "xgboost"}
assert not loaded, loaded
"""


def test_the_package_by_itself_loads_neither_tvm_nor_grpc() -> None:
    subprocess.run([sys.executable, "-c", ALONE], check=True, timeout=60)


def test_any_other_name_is_unknown() -> None:
    with pytest.raises(AttributeError, match=r"module 'tracker\.client' has no attribute 'FarmTuner'"):
        tracker.client.FarmTuner  # noqa: B018
