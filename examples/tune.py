"""Tunes a model and writes its package: ``python tune.py MODEL POOL BUDGET FOLDER``.

    python tune.py resnet50.onnx arm64 30m resnet50-tuned

The tracker is heard by mDNS, or named by TVMFARM_TRACKER.
"""

from __future__ import annotations

import sys

from tvm_farm import Farm, FarmError


def main(model: str, pool: str, budget: str, folder: str) -> None:
    with Farm() as farm:
        job = farm.tune(model, pool=pool, budget=budget)
        print(f"{job.id} is tuned; it goes on when this program ends: Farm().job({job.id!r})")
        for snapshot in job.progress():
            known = [task.best_s for task in snapshot.tasks if task.best_s]
            print(f"{snapshot.device_class}: {snapshot.phase}, {snapshot.trials} trials, {len(known)} operators timed")
        # Of a pool with one class of device job.wait() is the one result.
        for device_class, result in job.wait_all().items():
            before_s, after_s = result.latency.untuned_s, result.latency.tuned_s
            print(f"{device_class}: {before_s * 1e3:.3f} ms -> {after_s * 1e3:.3f} ms")
        print(f"the package is in {job.package.download(folder)}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except FarmError as error:
        sys.exit(f"tune.py: {error}")
