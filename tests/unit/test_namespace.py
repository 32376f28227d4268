"""What is imported has one name, ``tvm_farm``, which meets nobody else's. It loads nothing before it is used."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tvm_farm
from tests.support.agent_wheels import built
from tvm_farm.protos.version import __version__

ROOT = Path(__file__).parents[2]

ALONE = """
import sys, tvm_farm
assert set(tvm_farm.__all__) == set(tvm_farm._MODULES)
loaded = {name.partition(".")[0] for name in sys.modules} & {"tvm", "tvm_ffi", "numpy", "grpc", "xgboost"}
assert not loaded, loaded
"""

WITHOUT_TVM = """
import sys
import tvm_farm
from tvm_farm import Farm, FarmError, JobKind, JobSpec
for name in set(tvm_farm.__all__) - {"FarmBuilder", "FarmDatabase", "FarmRunner"}:
    assert getattr(tvm_farm, name).__name__ == name
from tvm_farm.tracker.client.errors import BadInput
assert issubclass(BadInput, FarmError) and Farm.__name__ == "Farm"
loaded = {name.partition(".")[0] for name in sys.modules} & {"tvm", "tvm_ffi", "numpy", "rich", "xgboost"}
assert not loaded, loaded
"""

#: Names that were the farm's own once. Each says so loudly where it is imported for it.
STRANGERS = ("agent", "tracker", "protos")

SCRIPT = """
import tvm_farm.agent.cli
import tvm_farm.tracker.cli
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.script import FarmRunner
assert (tvm_farm.Farm, tvm_farm.FarmRunner) == (Farm, FarmRunner)
import agent, protos, tracker
print(agent.WHOSE, protos.WHOSE, tracker.WHOSE)
"""


def run(*command: str | Path, path: Path | str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    return subprocess.run([sys.executable, *command], env=env, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_package_by_itself_loads_neither_tvm_nor_grpc() -> None:
    subprocess.run([sys.executable, "-c", ALONE], check=True, timeout=60)


def test_a_farm_is_there_without_tvm() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_TVM], check=True, timeout=60)


def test_any_other_name_is_unknown() -> None:
    with pytest.raises(AttributeError, match=r"module 'tvm_farm' has no attribute 'FarmTuner'"):
        tvm_farm.FarmTuner  # noqa: B018


def test_a_script_beside_files_of_those_names(tmp_path: Path) -> None:
    (tmp_path / "tracker.py").write_text("WHOSE = 'a file'\n")
    for name in ("protos", "agent"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("WHOSE = 'a folder'\n")
    (tmp_path / "tune.py").write_text(SCRIPT)
    done = run(tmp_path / "tune.py", cwd=tmp_path)
    assert done.stdout == "a folder a folder a file\n", done.stderr


@pytest.mark.parametrize("start", ["tracker.cli import farm", "tracker.cli import tracker", "agent.cli import main"])
def test_commands_where_packages_of_those_names_are_installed(start: str, tmp_path: Path) -> None:
    for name in STRANGERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the stranger was imported')\n")
    done = run("-c", f"from tvm_farm.{start}; {start.split()[-1]}(['--help'])", path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: ")


def test_a_wheel_installs_one_package(tmp_path: Path) -> None:
    with zipfile.ZipFile(built(tmp_path)) as wheel:
        names = wheel.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"tvm_farm"}
    assert len(names) == len(set(names))
    told = ("agent/cli.py", "tracker/app.py", "protos/farm/v1/fleet_pb2_grpc.py", "py.typed")
    assert {f"tvm_farm/{name}" for name in told} <= set(names)
    assert f"tvm_farm-{__version__}.dist-info/licenses/LICENSE" in names


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "from tvm_farm.tracker.cli import tracker; tracker(['start'])",
            "Error: This needs platformdirs, which",
        ),
        ("from tvm_farm import FarmRunner", "ImportError: FarmRunner: This needs tvm_ffi, which"),
    ],
)
def test_what_a_boards_installation_lacks_is_one_sentence(code: str, said: str) -> None:
    lacks = "import sys; sys.modules.update(dict.fromkeys(('platformdirs', 'tvm_ffi')))"
    done = run("-c", f"{lacks}; {code}")
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]


def test_help_needs_no_more_than_a_boards_installation_has() -> None:
    lacks = "import sys; sys.modules.update(dict.fromkeys(('platformdirs', 'psutil', 'rich', 'uvloop', 'orjson')))"
    for start in ("tracker(['--help'])", "tracker(['start', '-h'])", "tracker(['worker', '-h'])", "farm(['-h'])"):
        done = run("-c", f"{lacks}; from tvm_farm.tracker.cli import farm, tracker; {start}")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: ")
