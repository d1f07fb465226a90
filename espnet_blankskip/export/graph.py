"""A small language to write ONNX graphs in.

``Value`` stands for a tensor of the graph that is being built, with the operators and
the handful of operations that an encoder needs; numbers and numpy arrays beside it
become constants. Only operators of opset 17 are used, which ONNX Runtime, OpenVINO,
onnxruntime-web and the runtimes inside phones all have.
"""

from typing import Any, Callable, Dict, List, Sequence, Tuple, Union

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # of the same time, so that runtimes of 2022 and later read it

Operand = Union["Value", np.ndarray, float, int, bool]


class Value:
    """A tensor of a graph under construction.

    Args:
        graph: The graph.
        name: The tensor's name in it.
    """

    __array_ufunc__ = None  # numpy arrays on the left leave operators to this class

    def __init__(self, graph: "Graph", name: str):
        self.graph = graph
        self.name = name

    def __add__(self, other: Operand) -> "Value":
        return self.graph.op("Add", self, other)

    def __radd__(self, other: Operand) -> "Value":
        return self.graph.op("Add", other, self)

    def __sub__(self, other: Operand) -> "Value":
        return self.graph.op("Sub", self, other)

    def __rsub__(self, other: Operand) -> "Value":
        return self.graph.op("Sub", other, self)

    def __mul__(self, other: Operand) -> "Value":
        return self.graph.op("Mul", self, other)

    def __truediv__(self, other: Operand) -> "Value":
        return self.graph.op("Div", self, other)

    def __matmul__(self, other: Operand) -> "Value":
        return self.graph.op("MatMul", self, other)

    def __lt__(self, other: Operand) -> "Value":
        return self.graph.op("Less", self, other)

    def __gt__(self, other: Operand) -> "Value":
        return self.graph.op("Greater", self, other)

    def __and__(self, other: Operand) -> "Value":
        return self.graph.op("And", self, other)

    def __or__(self, other: Operand) -> "Value":
        return self.graph.op("Or", self, other)

    def __invert__(self) -> "Value":
        return self.graph.op("Not", self)

    def size(self, axis: int) -> "Value":
        """Length of one axis, int64 (1,)."""
        return self.graph.op("Shape", self, start=axis, end=axis + 1)

    def reshape(self, *sizes: Union[int, "Value"]) -> "Value":
        """Same elements in another shape; sizes may be values of shape (1,)."""
        return self.graph.op("Reshape", self, self.graph.join(*sizes))

    def transpose(self, *axes: int) -> "Value":
        """Turn the axes."""
        return self.graph.op("Transpose", self, perm=axes)

    def unsqueeze(self, axis: int) -> "Value":
        """Add an axis of length 1."""
        return self.graph.op("Unsqueeze", self, [axis])

    def squeeze(self, axis: int) -> "Value":
        """Take an axis of length 1 away."""
        return self.graph.op("Squeeze", self, [axis])

    def cut(self, axis: int, start: Operand, end: Operand, step: int = 1) -> "Value":
        """The part [start, end) of an axis; both may be values of shape (1,)."""
        start, end = self.graph.join(start), self.graph.join(end)
        return self.graph.op("Slice", self, start, end, [axis], [step])

    def take(self, index: Operand, axis: int = 0) -> "Value":
        """Rows of an axis, by their numbers."""
        return self.graph.op("Gather", self, index, axis=axis)

    def where(self, condition: "Value", other: Operand) -> "Value":
        """These elements where the condition holds, others elsewhere."""
        return self.graph.op("Where", condition, self, other)

    def as_float(self) -> "Value":
        """The same as float32."""
        return self.graph.op("Cast", self, to=TensorProto.FLOAT)

    def as_int(self) -> "Value":
        """The same as int64."""
        return self.graph.op("Cast", self, to=TensorProto.INT64)

    def total(self, axis: int, keepdims: bool = False) -> "Value":
        """Sum over one axis."""
        return self.graph.op("ReduceSum", self, [axis], keepdims=int(keepdims))


class Graph:
    """An ONNX graph under construction.

    Args:
        name: Name of the graph.
        int8: Whether products are to be computed in 8 bits where that is allowed.
    """

    def __init__(self, name: str, int8: bool = False):
        self.name = name
        self.int8 = int8
        self._nodes: List[onnx.NodeProto] = []
        self._initializers: Dict[str, onnx.TensorProto] = {}
        self._inputs: List[onnx.ValueInfoProto] = []
        self._outputs: List[onnx.ValueInfoProto] = []
        self._constants: Dict[Any, Value] = {}
        self._scope: List[str] = []
        self._count = 0
        self.remembered: Dict[str, Any] = {}  # by the name of what it was made from

    def enter(self, scope: str) -> "Graph":
        """Begin a scope, whose name the nodes within it carry; ``with`` ends it."""
        self._scope.append(scope)
        return self

    def __enter__(self) -> "Graph":
        return self

    def __exit__(self, *_) -> None:
        self._scope.pop()

    def input(self, name: str, kind: int, shape: Sequence, default=None) -> Value:
        """Add an input of the whole graph.

        Args:
            name: Its name.
            kind: Its ``TensorProto`` type.
            shape: Sizes, or names of sizes that are only known at run time.
            default: What it is where the caller gives nothing.
        """
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        if default is not None:
            array = np.asarray(default, helper.tensor_dtype_to_np_dtype(kind))
            self._initializers[name] = numpy_helper.from_array(array, name)
        return Value(self, name)

    def output(self, name: str, value: Value, kind: int, shape: Sequence) -> None:
        """Make a value an output of the whole graph; arguments as for `input`."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name], name))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def weight(self, array: np.ndarray, name: str) -> Value:
        """Add a weight; other types than integers become float32."""
        array = np.asarray(array)
        if not np.issubdtype(array.dtype, np.integer):
            array = array.astype(np.float32)
        name = self._new_name(name)
        array = np.ascontiguousarray(array)
        self._initializers[name] = numpy_helper.from_array(array, name)
        return Value(self, name)

    def op(
        self, kind: str, *inputs: Any, outputs: int = 1, **attributes
    ) -> Union[Value, Tuple[Value, ...]]:
        """Add an operation.

        Args:
            kind: ONNX operator.
            *inputs: Values, or what becomes a constant; None leaves an input out.
            outputs: How many values come out.
            **attributes: As ONNX names them.

        Returns:
            Its output, or a tuple of them.
        """
        name = self._new_name(kind)
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        given = ["" if x is None else self.value(x).name for x in inputs]
        self._nodes.append(helper.make_node(kind, given, names, name, **attributes))
        values = tuple(Value(self, n) for n in names)
        return values[0] if outputs == 1 else values

    def value(self, operand: Operand) -> Value:
        """Return a value as it is, and anything else as a constant.

        Python's floats become float32, its integers int64.
        """
        if isinstance(operand, Value):
            return operand
        array = np.asarray(operand)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._initializers[name] = numpy_helper.from_array(array, name)
            self._constants[key] = Value(self, name)
        return self._constants[key]

    def join(self, *sizes: Union[int, Value]) -> Value:
        """Make a vector of sizes, int64; values among them have shape (1,)."""
        if all(isinstance(size, int) for size in sizes):
            return self.value(np.array(sizes, np.int64))
        if len(sizes) == 1:
            return sizes[0]
        return self.concat(
            *(s if isinstance(s, Value) else np.array([s], np.int64) for s in sizes),
            axis=0,
        )

    def concat(self, *parts: Operand, axis: int) -> Value:
        """Join values along an axis."""
        return self.op("Concat", *parts, axis=axis)

    def range(self, end: Value, start: int = 0) -> Value:
        """Whole numbers from start to end - 1, int64; `end` has shape (1,)."""
        return self.op("Range", start, end.squeeze(0), 1)

    def for_each(self, body: Callable[..., Value], *parts: Value) -> Value:
        """Compute the same on every part in turn, in memory that stays in the cache.

        Args:
            body: From one of each parts (...) to its result; may use values from
                outside.
            *parts: (P, ...).

        Returns:
            The results (P, ...).
        """
        outside, self._nodes = self._nodes, []
        given = [Value(self, self._new_name("part")) for _ in parts]
        result = body(*given)
        inside, self._nodes = self._nodes, outside
        ends = [onnx.ValueInfoProto(name=value.name) for value in (*given, result)]
        loop = helper.make_graph(inside, result.name, ends[:-1], ends[-1:])
        return self.op("Scan", *parts, body=loop, num_scan_inputs=len(parts))

    def to_model(self, metadata: Dict[str, str]) -> onnx.ModelProto:
        """Return the finished model.

        Args:
            metadata: Stored with it, where every ONNX runtime can read it.
        """
        graph = helper.make_graph(
            self._nodes,
            self.name,
            self._inputs,
            self._outputs,
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="espnet_blankskip",
        )
        helper.set_model_props(model, metadata)
        return model

    def _new_name(self, name: str) -> str:
        self._count += 1
        return "/".join([*self._scope, f"{name}_{self._count}"])
