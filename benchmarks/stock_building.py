"""Stock TVM's LocalBuilder at work until killed: ``python -m benchmarks.stock_building ORDER.json``.

The order holds ``modules`` (``tvm.ir.save_json``), their ``target`` and whether the run is ``quick``. Batch after batch
is built with its defaults, as a tuning builds them; ``first-batch.txt`` appears beside the order when the first one is
done.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

__all__: list[str] = []


def main(order: Path) -> None:
    import tvm
    from tvm.s_tir import meta_schedule as ms

    from benchmarks.stock import load_intrinsics, quick_builder

    content = json.loads(order.read_text(encoding="utf-8"))
    load_intrinsics(quick=content["quick"])
    target = tvm.target.Target(content["target"])
    inputs = [ms.builder.BuilderInput(tvm.ir.load_json(module), target) for module in content["modules"]]
    builder = quick_builder() if content["quick"] else ms.builder.LocalBuilder()
    while True:
        for result in builder.build(inputs):
            if result.artifact_path is not None:
                shutil.rmtree(Path(result.artifact_path).parent, ignore_errors=True)
        order.with_name("first-batch.txt").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
