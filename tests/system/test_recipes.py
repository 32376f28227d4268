"""Each recipe of docs/design/recipes.md is made in a copy of the sources: these files, and what follows does follow."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("tvm")

ROOT = Path(__file__).parents[2]
RECIPES = (ROOT / "docs" / "design" / "recipes.md").read_text()
ROWS = dict(re.findall(r"^\| an? ([^|]+) \| ([^|]+) \|", RECIPES, re.MULTILINE))


@dataclass(frozen=True)
class Recipe:
    """``edits``: of each file a line, as a pattern, and what is written below it. ``files``: new ones.

    ``follows``: a program that runs with the changed sources and fails where something was forgotten.
    """

    edits: Mapping[str, Mapping[str, str]]
    follows: str
    files: Mapping[str, str] = field(default_factory=dict)


MADE = {
    "reading of a board": Recipe(
        {
            "protos/farm/v1/device.proto": {r"  string disk_fault = 18;.*": "  optional double fan_rpm = 40;"},
            "protos/device.py": {
                r'    disk_fault: str = ""': "    fan_rpm: float | None = None",
                r"FIGURES: .*\n    \{": '        "fan_rpm": Figure(0.0, 30_000.0, "fan {:.0f} rpm", '
                'metric="fan_rpm", about="The fan."),',
            },
            "agent/board/telemetry.py": {
                r"            cpu_percent=self\._cpu_percent\(\),": "            fan_rpm=1200.0,"
            },
        },
        """
from dataclasses import replace
from tests.support.records import make_record
from tvm_farm.agent.board.telemetry import TelemetryReader
from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.farm.v1 import device_pb2
from tvm_farm.tracker.cli.terminal.formats import readings
from tvm_farm.tracker.metrics import collector
from tvm_farm.tracker.store.open import open_store
from tvm_farm.tracker.wire.boards import _sane
from pathlib import Path

read = TelemetryReader().read()
there = from_message(Telemetry, to_message(device_pb2.Telemetry, read))
assert there == read and there.fan_rpm == 1200.0, there
assert "fan 1200 rpm" in readings(there), readings(there)
assert _sane(replace(there, fan_rpm=-1.0)).fan_rpm is None
assert "tvmfarm_device_fan_rpm" in [family.name for family in collector._devices([])]
store = open_store("sqlite:///" + str(Path("store.db").resolve()))
store.records.add([make_record("t1", before=there)])
kept = store.records.get("t1")
assert kept.measurement.before.fan_rpm == 1200.0, kept
""",
    ),
    "outcome of a trial": Recipe(
        {
            "protos/farm/v1/measurement.proto": {r"  OUTCOME_HOST_FAULT = 11;.*": "  OUTCOME_MELTED = 12;"},
            "protos/measurement.py": {r'    HOST_FAULT = "host fault"': '    MELTED = "melted"'},
            "tracker/domain/outcomes.py": {
                r"        Outcome\.HOST_FAULT: .*": "        Outcome.MELTED: Meaning(suspect=True),"
            },
        },
        """
from click.testing import CliRunner
from tests.support.records import make_record
from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import measurement_pb2
from tvm_farm.protos.measurement import Measurement, Outcome
from tvm_farm.tracker.cli.records.query import query
from tvm_farm.tracker.store.open import open_store

store = open_store("memory:")
record = make_record("t1", (), outcome=Outcome.MELTED)
there = from_message(Measurement, to_message(measurement_pb2.Measurement, record.measurement))
assert there.outcome is Outcome.MELTED
store.records.add([record])
assert store.records.get("t1").measurement.outcome is Outcome.MELTED
told = CliRunner().invoke(query, ["--outcome", "molten"])
assert "melted" in str(told.exception or told.output), told
""",
    ),
    "step of a trial's time": Recipe(
        {
            "protos/farm/v1/measurement.proto": {r"  double stored_s = 7;.*": "  double weighed_s = 40;"},
            "protos/measurement.py": {r"    stored_s: float = 0\.0": "    weighed_s: float = 0.0"},
            "tracker/store/sqlite/schema/migrations.py": {
                r"    db\.execute\(\"UPDATE jobs SET worked_s = .*": "\n\n@migrations()\n"
                "def m999_weighed(db: Database) -> None:\n"
                '    db.execute("ALTER TABLE records ADD COLUMN weighed_s REAL NOT NULL DEFAULT 0")'
            },
            "tracker/domain/job_timeline.py": {
                r"        \(Step\.STORE, t\.answered_s, .*": "        (Step.HAND_OVER, t.stored_s, t.weighed_s),"
            },
        },
        """
from dataclasses import replace
from pathlib import Path
from tests.support.records import make_record
from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import measurement_pb2
from tvm_farm.protos.measurement import Timeline
from tvm_farm.tracker.domain.job_timeline import Step, spans
from tvm_farm.tracker.store.open import open_store

times = replace(make_record("t1").measurement.timeline, weighed_s=13.0)
assert from_message(Timeline, to_message(measurement_pb2.Timeline, times)) == times
store = open_store("sqlite:///" + str(Path("store.db").resolve()))
store.records.add([make_record("t1", timeline=times)])
assert store.records.get("t1").measurement.timeline == times
assert (Step.HAND_OVER, 12.0, 13.0) in list(spans(times))
""",
    ),
    "engine": Recipe(
        {"tracker/domain/engine.py": {r"FAMILIES = \(": '    Family("lucky", "by chance"),'}},
        """
import tvm
from tvm_farm.tracker.cli.jobs.tune import tune
from tvm_farm.tracker.tuning.engines.base import Setting
from tvm_farm.tracker.tuning.engines.registry import maker

[option] = [each for each in tune.params if each.name == "tuner"]
assert "lucky" in option.type.choices and "lucky by chance" in option.help
made = maker("lucky", Setting(tvm.target.Target("llvm"), 1))
assert type(made).__module__.endswith("engines.lucky"), made
""",
        {
            "tracker/tuning/engines/lucky.py": "from tvm_farm.tracker.tuning.engines import ansor\n\n"
            "class Maker(ansor.Maker):\n    pass\n"
        },
    ),
    "model format": Recipe(
        {
            "tracker/tuning/models/importers/__init__.py": {
                r"from tvm_farm\.tracker\.tuning\.models\.importers\.tflite import .*": "from "
                "tvm_farm.tracker.tuning.models.importers.mine import MineImporter",
                r"_IMPORTERS: [^=]*= \(": "    MineImporter(),",
            }
        },
        """
from pathlib import Path
from tvm_farm.tracker.tuning.models.importers import load_model

Path("net.mine").write_bytes(b"MINE and more")
assert load_model(Path("net.mine"), {}, "net") == "the model net"
""",
        {
            "tracker/tuning/models/importers/mine.py": "class MineImporter:\n"
            "    def recognises(self, head):\n        return head.startswith(b'MINE')\n\n"
            "    def load(self, path, shapes, name):\n        return f'the model {name}'\n"
        },
    ),
    "way to a device": Recipe(
        {
            "agent/runner/via.py": {
                r"from tvm_farm\.agent\.runner\.ssh import .*": "from tvm_farm.agent.runner.pipe import PipeTransport",
                r"_KINDS: [^{]*\{": '    "pipe": PipeTransport,',
            }
        },
        """
from click.testing import CliRunner
from tvm_farm.agent.commands.start import start
from tvm_farm.agent.runner.via import parse_via
from tvm_farm.agent.settings import Settings

assert type(parse_via("pipe:lab", "me")).__name__ == "PipeTransport"
try:
    parse_via("tape:lab")
except ValueError as error:
    assert "pipe:NAME" in str(error), error
assert "pipe:NAME" in " ".join(CliRunner().invoke(start, ["--help"]).output.split())
""",
        {
            "agent/runner/pipe.py": "from tvm_farm.agent.runner.shell import ShellTransport\n\n"
            "class PipeTransport(ShellTransport):\n    forms = ('pipe:NAME',)\n\n"
            "    @classmethod\n    def named(cls, rest, owner):\n        return cls('pipe:' + rest, owner)\n\n"
            "    def _command(self, script):\n        return ['sh', '-c', script]\n\n"
            "    def _fault(self, said):\n        return OSError(said)\n"
        },
    ),
    "metric": Recipe(
        {
            "tracker/metrics/collector.py": {
                r"        snapshot = self\._take\(\)": "        yield GaugeMetricFamily("
                '"tvmfarm_moons", "Moons.", value=snapshot.workers)'
            }
        },
        """
from collections import Counter
from tvm_farm.tracker.measuring.histogram import Histogram
from tvm_farm.tracker.metrics.collector import FarmCollector
from tvm_farm.tracker.metrics.snapshot import Snapshot
from tvm_farm.tracker.services.store_thread import WriteTimes

empty = Snapshot([], Counter(), 0, 0, Histogram(), Counter(), [], 3, WriteTimes())
assert {"tvmfarm_moons": 3} == {
    family.name: family.samples[0].value for family in FarmCollector(lambda: empty).collect() if "moons" in family.name
}
""",
    ),
}


def copy_with(recipe: Recipe, folder: Path) -> None:
    """The sources, changed."""
    for part in ("agent", "tracker", "protos", "tvm_farm"):
        left_out = shutil.ignore_patterns("bin", "__pycache__")
        shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=left_out)
    for name, lines in recipe.edits.items():
        text = (folder / name).read_text()
        for line, below in lines.items():
            text, count = re.subn(rf"({line})", lambda found, below=below: f"{found[1]}\n{below}", text, count=1)
            assert count == 1, f"{line} in {name}"
        (folder / name).write_text(text)
    for name, text in recipe.files.items():
        assert not (folder / name).exists()
        (folder / name).write_text(text)


def make_stubs(folder: Path) -> None:
    """What ``make stubs`` does."""
    protos = [str(path.relative_to(folder)) for path in sorted((folder / "tvm_farm/protos/farm/v1").glob("*.proto"))]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", "--python_out=.", *protos]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("change", MADE)
def test_these_files_are_all(change: str, tmp_path: Path) -> None:
    recipe = MADE[change]
    # Of those that are there always; a README and a value's place come on top where a row says so.
    told = re.findall(r"`((?:protos|agent|tracker)/[\w/.]+\.(?:py|proto))`", ROWS[change].partition(";")[0])
    assert sorted(recipe.edits) == sorted(name for name in told if "NAME" not in name)
    assert len(recipe.files) == len(re.findall(r"a module (?:beside|`)", ROWS[change]))
    copy_with(recipe, tmp_path)
    if any(name.endswith(".proto") for name in recipe.edits):
        make_stubs(tmp_path)
    # The copy goes before this checkout, which has the tests' own modules.
    path = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
    ran = subprocess.run(
        [sys.executable, "-c", path + recipe.follows], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
