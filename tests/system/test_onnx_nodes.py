"""ONNX's own node tests through the importer: which pass, and why each of the others does not.

``tests/support/onnx_nodes.json`` holds all that do not pass by their reason, in the importer's words;
``python -m tests.support.onnx_node_table`` writes it.
"""

from __future__ import annotations

import pytest

from tests.support.onnx_nodes import Verdict, node_cases, not_passing, verdicts

pytest.importorskip("tvm")

from tests.support.onnx_node_answers import farm

pytestmark = pytest.mark.system
#: Each takes some seconds, and the file a process that has seen all of TVM.
CHUNKS = 12


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_node_answers_as_onnx_has_it_or_is_refused_for_the_reason_listed(chunk):
    cases = node_cases()[chunk::CHUNKS]
    listed = not_passing()
    found = {case.name: verdict for case, verdict in verdicts(cases, farm)}
    expected = {
        case.name: Verdict("refused", listed[case.name]) if case.name in listed else Verdict("pass") for case in cases
    }
    unlike = {name: (verdict, expected[name]) for name, verdict in found.items() if verdict != expected[name]}
    assert not unlike
    assert len(found) == len(cases)


def test_the_list_names_cases_that_exist_and_leaves_most_to_pass():
    names = {case.name for case in node_cases()}
    listed = set(not_passing())
    assert listed <= names
    assert len(names - listed) >= 1600


def test_a_wrong_answer_a_crash_and_a_refusal_are_told_apart():
    case = next(case for case in node_cases() if case.name == "test_abs")

    def off_by_one(model, inputs):
        return [abs(inputs[0]) + 1]

    def of_another_dtype(model, inputs):
        return [abs(inputs[0]).astype("float64")]

    def dying(model, inputs):
        import os

        os.abort()

    kinds = [next(verdicts([case], answers))[1].kind for answers in (off_by_one, of_another_dtype, dying)]
    assert kinds == ["wrong", "wrong", "crash"]
    after = [verdict.kind for _, verdict in verdicts([case, case], dying)]
    assert after == ["crash", "crash"]
