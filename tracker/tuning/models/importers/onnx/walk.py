"""The graph is walked once, node by node, and computed as far as it is known.

Every value is either known (an array) or an expression of static shape. What is known is computed at once; the rest is
converted: by the farm's own converters, else by TVM's, else as the function that ONNX's schema writes. So shape
arithmetic, conditions and trip counts that are constant vanish wherever they stand, and each conversion is held
against the types that ONNX infers for it.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from functools import partial

import numpy as np
import onnx
import tvm
from onnx import defs, helper
from tvm import relax

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.onnx import stock
from tvm_farm.tracker.tuning.models.importers.onnx.constants import constants_of
from tvm_farm.tracker.tuning.models.importers.onnx.cut import hangs_on_values, uses
from tvm_farm.tracker.tuning.models.importers.onnx.declared import (
    check_room,
    check_shape,
    declared,
    numpy_dtype,
    type_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.dequantized import remembered, with_integers
from tvm_farm.tracker.tuning.models.importers.onnx.evaluate import RANDOM, evaluate
from tvm_farm.tracker.tuning.models.importers.onnx.fixed import OPTION
from tvm_farm.tracker.tuning.models.importers.onnx.functions import body_of
from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    CONVERTERS,
    MOST_REPEATED,
    Node,
    Refused,
    Value,
    as_expression,
    dtype_of,
    shape_of,
    whole_bytes,
)
from tvm_farm.tracker.tuning.models.importers.onnx.survey import UNKNOWN, GraphSurvey, Unjudged
from tvm_farm.tracker.tuning.models.importers.survey import Fate
from tvm_farm.tracker.tuning.models.importers.wording import sentence, where

__all__ = ["Walk"]

Scope = MutableMapping[str, Value]
#: Bytes of all that is computed while importing.
_MOST_FOLDED = 16 << 30
#: Inputs of more elements than this are data, which nobody fixes.
_MAX_FIXED = 16


class _Unconverted(Exception):
    """A node has no outputs: the whole sentence. ``mended``: a person can help it, and no cut is due."""

    def __init__(self, why: str, *, mended: bool = False) -> None:
        super().__init__(why)
        self.mended = mended


class Walk:
    """One import. ``name``: of the model, for messages. ``builder`` is inside the function that it makes.

    With a ``survey`` it goes on past a node that it refuses, as if that gave what ONNX infers; what is made then is no
    model, and values may be UNKNOWN.
    """

    def __init__(self, builder: relax.BlockBuilder, name: str, survey: GraphSurvey | None = None) -> None:
        self._builder = builder
        self._name = name
        self._survey = survey
        #: Values that the model computes, in order, each with its operator: those of the main graph alone.
        self.trail: list[tuple[str, str]] = []
        #: Sentences for whoever uses the model.
        self.notes: list[str] = []
        self._names: dict[relax.Var, str] = {}
        self._repeated = 0
        self._folded = 0
        #: Values of the main graph without a static shape, each with the node from which on it has none.
        self.opened: dict[str, str] = {}

    def main(self, model: onnx.ModelProto, inputs: Mapping[str, relax.Var]) -> dict[str, Value]:
        """All values of the main graph by name, but those in ``opened``.

        Raises InputError, which names the node that stopped it.
        """
        values: Scope = {name: _empty(value) for name, value in inputs.items()}
        self._names = {variable: name for name, variable in inputs.items()}
        opsets = {each.domain: each for each in model.opset_import}
        self._graph(model.graph, values, opsets, self.trail)
        return dict(values)

    def _graph(
        self,
        graph: onnx.GraphProto,
        scope: Scope,
        opsets: Mapping[str, onnx.OperatorSetIdProto],
        trail: list[tuple[str, str]] | None = None,
    ) -> None:
        scope.update(constants_of(graph, self._name))
        for number, node in enumerate(graph.node):
            if trail is not None and (origin := self._origin(node)):
                self._cut(node, origin)
                continue
            try:
                values = self._outputs(node, number, scope, opsets)
            except _Unconverted as error:
                if trail is not None and not error.mended and hangs_on_values(node, scope):
                    self._cut(node, where(node, number))
                    continue
                if self._survey is None:
                    raise InputError(str(error)) from error
                values = self._past(node, number, str(error), scope, opsets)
            for name, value in zip(node.output, values, strict=False):
                if name:
                    scope[name] = value
                    if trail is not None and not isinstance(value, np.ndarray):
                        trail.append((name, node.op_type))

    def _cut(self, node: onnx.NodeProto, origin: str) -> None:
        self.opened.update(dict.fromkeys(node.output, origin))
        if self._survey is not None:
            self._survey.converted(node, Fate.CUT)

    def _origin(self, node: onnx.NodeProto) -> str | None:
        """The node from which on what ``node`` takes has no static shape, if there is one."""
        return next((self.opened[name] for name in sorted(uses(node)) if name in self.opened), None)

    def _outputs(
        self, node: onnx.NodeProto, number: int, scope: Scope, opsets: Mapping[str, onnx.OperatorSetIdProto]
    ) -> Sequence[Value]:
        try:
            fate, values = self._convert(node, number, scope, opsets)
        except Unjudged:
            if self._survey is None:  # within a function
                raise
            return self._survey.unjudged(node)
        except InputError as error:  # of a node further in
            if self._survey is None:
                raise
            within = str(error).removeprefix(f"{self._name}: ")
            return self._past(node, number, f"the function that it stands for fails at {within}", scope, opsets)
        except Refused as error:
            remedy = self._remedy(error.by)
            reason = f"{self._name}: {where(node, number)}: {error}{remedy}."
            if isinstance(error.__cause__, InputError):  # of a node further in as well: no cut helps
                raise InputError(reason) from error
            # The work of a whole net may be in a branch or a body: it is fixed and not left to the caller.
            raise _Unconverted(reason, mended=bool(remedy) and node.op_type in ("If", "Loop")) from error
        except Exception as error:  # TVM's converters and passes raise whatever they meet
            reason = f"TVM {tvm.__version__} cannot import it: {sentence(error)}"
            raise _Unconverted(f"{self._name}: {where(node, number)}: {reason}.") from error
        if self._survey is not None:
            self._survey.converted(node, fate, values)
        return values

    def _past(
        self,
        node: onnx.NodeProto,
        number: int,
        reason: str,
        scope: Scope,
        opsets: Mapping[str, onnx.OperatorSetIdProto],
    ) -> Sequence[Value]:
        """What stands for the outputs of a refused node."""
        assert self._survey is not None
        inputs = tuple(scope.get(name) if name else None for name in node.input)
        inferred = declared(
            Node(node, _opset(opsets, _domain(node)), inputs, self._builder, list, lambda *_: None), opsets
        )
        return self._survey.refused(node, number, reason.removeprefix(f"{self._name}: "), inputs, inferred)

    def _convert(
        self, proto: onnx.NodeProto, number: int, scope: Scope, opsets: Mapping[str, onnx.OperatorSetIdProto]
    ) -> tuple[Fate, Sequence[Value]]:
        domain = _domain(proto)
        version = _opset(opsets, domain)
        inputs = tuple(self._input(name, scope) for name in proto.input)
        subgraph = partial(self._subgraph, scope, opsets)
        node = Node(proto, version, inputs, self._builder, subgraph, partial(self._note, where(proto, number)))
        if lacking := _lacking(proto, version, domain):
            raise Refused(f"it has no attribute {lacking}, which it needs")
        known = [value for value in inputs if isinstance(value, np.ndarray)]
        given = sum(value is not None for value in inputs)
        inner = any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in proto.attribute)
        if len(known) == given and not inner and proto.op_type not in RANDOM:
            arrays = [value if isinstance(value, np.ndarray) else None for value in inputs]
            check_room(declared(node, opsets))
            if (values := evaluate(proto, arrays, list(opsets.values()))) is not None:
                self._folded += sum(value.nbytes for value in values)
                if self._folded > _MOST_FOLDED:
                    raise Refused(f"what was computed up to it takes more than {_MOST_FOLDED >> 30} GiB")
                return Fate.FOLDED, remembered(node, values)
        node = with_integers(node)
        if own := CONVERTERS.get((domain, proto.op_type)):
            result = own(node)
            values = [result] if isinstance(result, np.ndarray | relax.Expr) else list(result)
            fate = Fate.BY_FARM
        elif stock.has_converter(domain, proto.op_type):
            values, fate = stock.convert(node), Fate.BY_TVM
        elif body := body_of(proto, version, [type_of(value) for value in inputs]):
            return Fate.EXPANDED, self._function(proto, *body, inputs, opsets)
        else:
            raise Refused(_unknown(proto, domain, version))
        wanted = max((at + 1 for at, name in enumerate(proto.output) if name), default=0)
        if len(values) < wanted:
            raise Refused(f"TVM {tvm.__version__} gives {len(values)} of its {wanted} outputs")
        return fate, [self._checked(value, kind) for value, kind in zip(values, declared(node, opsets), strict=False)]

    def _note(self, where: str, text: str, by: relax.Expr | None) -> None:
        sentence = f"{where}: {text}{self._remedy(by)}."
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _remedy(self, by: relax.Expr | None) -> str:
        """How a person can help what depends on ``by``: by fixing the inputs that it comes from, if they are small."""
        names = set() if by is None else self._origins(by)
        sizes = [np.prod(shape_of(variable), dtype=int) for variable, name in self._names.items() if name in names]
        if not names or max(sizes) > _MAX_FIXED:
            return ""
        return f" ({' '.join(OPTION.format(name) for name in sorted(names))} fixes them)"

    def _origins(self, value: relax.Expr) -> set[str]:
        """Inputs of the model that ``value`` is computed from."""
        found, seen, left = set(), set(), [value]
        while left:
            for variable in relax.analysis.free_vars(left.pop()):
                if variable in self._names:
                    found.add(self._names[variable])
                elif variable not in seen and (bound := self._builder.lookup_binding(variable)) is not None:
                    left.append(bound)
                seen.add(variable)
        return found

    def _input(self, name: str, scope: Scope) -> Value | None:
        if not name:
            return None
        if name not in scope:
            raise Refused(f"nothing gives its input {name}")
        return _known(scope[name])

    def _subgraph(
        self,
        scope: Scope,
        opsets: Mapping[str, onnx.OperatorSetIdProto],
        graph: onnx.GraphProto,
        inputs: Sequence[Value] = (),
        *,
        repeated: bool = False,
    ) -> list[Value]:
        """Outputs of a branch or a body: ``inputs`` are given to its own in order, other names come from outside."""
        self._repeated += max(1, len(graph.node)) if repeated else 0  # an empty body takes its time as well
        if self._repeated > MOST_REPEATED:
            raise Refused(f"written out, its iterations and those of other loops are more than {MOST_REPEATED} nodes")
        inner: Scope = ChainMap({}, scope)
        inner.update(zip((value.name for value in graph.input), inputs, strict=False))
        self._graph(graph, inner, opsets)
        if missing := next((output.name for output in graph.output if output.name not in inner), None):
            raise Refused(f"nothing in its branch or body computes {missing}")
        return [_known(inner[output.name]) for output in graph.output]

    def _function(
        self,
        proto: onnx.NodeProto,
        function: onnx.FunctionProto,
        nodes: Sequence[onnx.NodeProto],
        inputs: Sequence[Value | None],
        opsets: Mapping[str, onnx.OperatorSetIdProto],
    ) -> list[Value]:
        scope: Scope = {name: value for name, value in zip(function.input, inputs, strict=False) if value is not None}
        graph = onnx.GraphProto(node=[_without(node, set(function.input) - set(scope)) for node in nodes])
        # A function may leave out a domain that it uses: then it means what the model means.
        survey, self._survey = self._survey, None  # its nodes are no nodes of the file
        try:
            self._graph(graph, scope, {**opsets, **{each.domain: each for each in function.opset_import}})
        finally:
            self._survey = survey
        nothing = np.zeros(0, np.float32)  # a body leaves out what nobody asks for
        pairs = zip(function.output, proto.output, strict=False)
        return [scope[inner] if outer else nothing for inner, outer in pairs]

    def _checked(self, value: Value, inferred: onnx.TypeProto | None) -> Value:
        """``value`` as ONNX wants it. Raises Refused where its shape is open or not what ONNX infers."""
        if not isinstance(value, np.ndarray) and not isinstance(value.ty, relax.TensorType):
            raise Refused("its output is no tensor")
        try:
            shape = shape_of(value)
        except (TypeError, AttributeError):
            raise Refused("the shape of its output depends on the values of the model's inputs") from None
        if not isinstance(value, np.ndarray):
            whole_bytes(dtype_of(value))
            check_shape(shape, dtype_of(value))
        if inferred is None or not inferred.tensor_type.elem_type:
            return _empty(value)
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(inferred.tensor_type.elem_type)).name
        if dtype_of(value) != dtype:
            if {dtype, dtype_of(value)} != {"int32", "int64"}:
                raise Refused(f"TVM {tvm.__version__} gives {dtype_of(value)} where ONNX says {dtype}")
            value = self._builder.emit(relax.op.astype(as_expression(value), dtype))
        if inferred.tensor_type.HasField("shape"):
            wanted = [dim.dim_value if dim.HasField("dim_value") else None for dim in inferred.tensor_type.shape.dim]
            if len(wanted) != len(shape) or any(w not in (None, s) for w, s in zip(wanted, shape, strict=True)):
                told = ",".join("?" if size is None else str(size) for size in wanted)
                raise Refused(f"TVM {tvm.__version__} gives shape {shape} where ONNX says ({told})")
        return _empty(value)


def _empty(value: Value) -> Value:
    """``value``, which is known where it has no elements: nothing is left to compute."""
    return np.zeros(shape_of(value), numpy_dtype(dtype_of(value))) if 0 in shape_of(value) else value


def _known(value: Value) -> Value:
    if value is UNKNOWN:
        raise Unjudged
    return value


def _domain(node: onnx.NodeProto) -> str:
    return "" if node.domain == "ai.onnx" else str(node.domain)


def _opset(opsets: Mapping[str, onnx.OperatorSetIdProto], domain: str) -> int:
    found = opsets.get(domain) or (opsets.get("ai.onnx") if not domain else None)
    return int(found.version) if found is not None else 1


def _without(node: onnx.NodeProto, absent: set[str]) -> onnx.NodeProto:
    """``node`` with inputs left out that its function was not given."""
    if not absent & set(node.input):
        return node
    left = onnx.NodeProto()
    left.CopyFrom(node)
    del left.input[:]
    left.input.extend("" if name in absent else name for name in node.input)
    return left


def _lacking(proto: onnx.NodeProto, version: int, domain: str) -> str | None:
    """A required attribute that the file leaves out."""
    if not defs.has(proto.op_type, version, domain):
        return None
    there = {attribute.name for attribute in proto.attribute}
    known = defs.get_schema(proto.op_type, version, domain).attributes
    return next((name for name, attribute in known.items() if attribute.required and name not in there), None)


def _unknown(proto: onnx.NodeProto, domain: str, version: int) -> str:
    if domain in ("", "ai.onnx.ml", "ai.onnx.preview.training"):
        try:
            defs.get_schema(proto.op_type, version, domain)
        except defs.SchemaError:
            return f"this operator does not exist in ONNX operator set {version}"
    if not domain and proto.op_type in stock.SEQUENCES:
        return "sequences and optional values are no tensors, which is all that the farm tunes"
    if domain == "ai.onnx.ml":
        return "operators of classical machine learning (ai.onnx.ml) are not tensor programs that the farm tunes"
    if "training" in domain:
        return "operators that train are not tuned"
    return "neither the farm nor TVM can import this operator" + (f" of domain {domain}" if domain else "")
