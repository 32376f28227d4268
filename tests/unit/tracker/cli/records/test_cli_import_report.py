"""What an import promises, and what it does not."""

from __future__ import annotations

import json
from collections import Counter

from tvm_farm.tracker.cli.records.import_report import what_for
from tvm_farm.tracker.domain.runtime import TVM_VERSION

OWN = json.dumps({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "znver4", "num-cores": 2})
ZEN3 = json.dumps({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "znver3", "num-cores": 2})
ARM = json.dumps({"kind": "llvm", "mtriple": "aarch64-linux-gnu"})
TAKEN = "`farm compile` and `farm tune` take them for measurements of that class."


def test_records_of_another_tvm_are_promised_to_nobody() -> None:
    for device_class in ("zen", ""):
        [said] = what_for(Counter({(OWN, "0.26.0"): 1}), [OWN], device_class)
        assert said.startswith("1 record of TVM 0.26.0: no job can use it. TVM 0.27.0")
    two = what_for(Counter({(OWN, "0.25.0"): 3, (OWN, "0.26.0"): 2}), [OWN], "zen")
    assert [line.partition(":")[0] for line in two] == ["3 records of TVM 0.25.0", "2 records of TVM 0.26.0"]


def test_records_of_the_class_are_measurements() -> None:
    for version in (TVM_VERSION, "0.27.0", ""):
        assert what_for(Counter({(OWN, version): 2}), [OWN], "zen")[0] == TAKEN
    searches, _ = what_for(Counter({(OWN, TVM_VERSION): 2}), [], "")
    assert "say so with --class" in searches


def test_another_target_is_told_with_the_option_that_uses_it() -> None:
    of_other, _ = what_for(Counter({(ZEN3, TVM_VERSION): 2}), [OWN], "zen")
    assert of_other == (
        "2 records are for another target than the class's own: `farm compile` and `farm tune` use them with "
        """--target '{"mcpu": "znver3"}'."""
    )
    of_none, _ = what_for(Counter({(ARM, TVM_VERSION): 1}), [OWN], "zen")
    assert of_none.endswith("no board of that class runs it.")
    many = Counter({(json.dumps({**json.loads(OWN), "num-cores": n}), TVM_VERSION): 1 for n in range(3, 8)})
    assert what_for(many, [OWN], "zen")[-2] == "2 more are for 2 other targets."
