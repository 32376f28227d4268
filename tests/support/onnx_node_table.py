"""``python -m tests.support.onnx_node_table``: ONNX's node tests by the farm, ONNX Runtime and TVM's own importer.

Writes why which cases do not pass (``onnx_nodes.json``), and the table in ``benchmarks/README.md``. Takes some six
minutes of one core.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tvm
from onnx import defs

from benchmarks.results_file import with_table
from tests.support import onnx_node_answers
from tests.support.onnx_nodes import LIST, NodeCase, Verdict, node_cases, verdicts

README = Path(__file__).parents[2] / "benchmarks" / "README.md"
_COMMAND = "python -m tests.support.onnx_node_table"
_WHO = {
    "farm": onnx_node_answers.farm,
    f"ONNX Runtime {onnxruntime.__version__}": onnx_node_answers.runtime,
    f"TVM {tvm.__version__}": onnx_node_answers.stock,
}
_KINDS = {
    "controlflow": "control flow",
    "object_detection": "object detection",
    "rnn": "recurrent layers",
    "nn": "layers of networks",
    "traditionalml": "classical machine learning",
}
#: All that pass numbers alone, and of dtypes that numpy has: no strings, sequences, optionals, bfloat16, int4, float8.
_PLAIN = "of all, those with tensors of numpy's dtypes alone"


def main() -> None:
    cases = node_cases()
    found: dict[str, dict[str, Verdict]] = {}
    for who, answers in _WHO.items():
        found[who] = {case.name: verdict for case, verdict in verdicts(cases, answers)}
        print(who, dict(Counter(verdict.kind for verdict in found[who].values())), file=sys.stderr)
    _write_list(found["farm"])
    readme = with_table(README.read_text(encoding="utf-8"), "onnx nodes", _table(cases, found), _COMMAND)
    README.write_text(readme, encoding="utf-8")


def _write_list(found: dict[str, Verdict]) -> None:
    """Refuses to list what is wrong: that is to be mended."""
    if bad := [f"{name}: {verdict}" for name, verdict in found.items() if verdict.kind in ("wrong", "crash")]:
        raise SystemExit("\n".join(["not written, for these are neither right nor refused:", *bad]))
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, verdict in sorted(found.items()):
        if verdict.kind == "refused":
            reasons[verdict.why].append(name)
    text = json.dumps(dict(sorted(reasons.items())), indent=1, ensure_ascii=False)
    LIST.write_text(text + "\n", encoding="utf-8")


def _table(cases: tuple[NodeCase, ...], found: dict[str, dict[str, Verdict]]) -> str:
    kinds: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        kinds[_kind(*case.operator)].append(case.name)
    lines = [f"| operators | cases | {' | '.join(f'{who} right | refused | wrong' for who in found)} |"]
    lines.append("|---|---:|" + "---:|" * 3 * len(found))
    sums = [("all", [case.name for case in cases]), (_PLAIN, [case.name for case in cases if _plain(case)])]
    for kind, names in [*sorted(kinds.items()), *sums]:
        counts = [Counter(verdicts_of[name].kind for name in names) for verdicts_of in found.values()]
        cells = [f"{c['pass']} | {c['refused']} | {c['wrong'] + c['crash']}" for c in counts]
        lines.append(f"| {kind} | {len(names)} | {' | '.join(cells)} |")
    lines.append(
        f"\nONNX {onnx.__version__}; wrong: another answer than ONNX's, or none after an import without a word."
    )
    return "\n".join(lines) + "\n"


def _plain(case: NodeCase) -> bool:
    return all(
        isinstance(value, np.ndarray) and value.dtype.isbuiltin == 1 and value.dtype != object
        for value in (*case.inputs, *case.expected)
    )


def _kind(domain: str, operator: str) -> str:
    """The chapter of ONNX's definitions."""
    folder = Path(defs.get_schema(operator, domain=domain).file).parent.name
    return _KINDS.get(folder, folder)


if __name__ == "__main__":
    main()
