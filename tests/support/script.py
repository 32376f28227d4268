"""A person's own script on a farm: Ctrl-C during a tuning, and the Python goes on, as a notebook's does.

``python script.py ADDRESS POOL LIBRARY`` measures LIBRARY, a kernel of tests/support/kernels.py, for a minute.
"""

import sys

from tvm.s_tir import meta_schedule as ms

from tvm_farm import FarmRunner


def main(address: str, pool: str, library: str) -> None:
    config = ms.runner.EvaluatorConfig(number=1, repeat=1, min_repeat_ms=60_000)
    runner = FarmRunner(address, pool=pool, evaluator_config=config, timeout_sec=200)
    info = ms.arg_info.TensorInfo("int32", [4])
    futures = runner.run([ms.runner.RunnerInput(library, "cpu", [info]) for _ in range(4)])
    try:
        print("measuring", flush=True)
        futures[0].result()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    sys.stdin.readline()
    print(len(futures), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
