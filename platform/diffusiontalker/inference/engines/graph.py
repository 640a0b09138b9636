"""Writing ONNX graphs by hand: values are names, layers are a line each. Knows nothing of talkers."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

Arithmetic = Literal["float32", "int8"]
_OPSET, _IR_VERSION = 21, 10
_ALL = np.iinfo(np.int64).max


class Graph:
    """An ONNX graph under construction.

    Args:
        name: of the graph.
        arithmetic: of `linear`: float32; or int8 weights, one scale for each output, and int8 activations, one scale
            for the whole tensor, found while it runs.
    """

    def __init__(self, name: str, *, arithmetic: Arithmetic = "float32") -> None:
        self._name, self._arithmetic = name, arithmetic
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, *shape: int | str) -> str:
        """A float32 input; sizes that may vary are names."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, name: str, value: str, *shape: int | str) -> None:
        """Gives a value out under a name."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output."""
        return self._node(kind, inputs, count=1, domain=domain, **attributes)[0]

    def constant(self, value: Tensor | np.ndarray | list[int] | float) -> str:
        """A tensor of the graph; numbers become float32, lists int64."""
        if isinstance(value, Tensor):
            array = value.detach().cpu().numpy()
        elif isinstance(value, list):
            array = np.asarray(value, dtype=np.int64)
        else:
            array = np.asarray(value, dtype=np.float32 if isinstance(value, float) else None)
        name = f"c{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def linear(self, x: str, layer: nn.Linear, *, order: Tensor | None = None, is_exact: bool = False) -> str:
        """A layer with bias, in the graph's arithmetic unless it must be exact.

        Args:
            x: (..., inputs).
            layer: the layer.
            order: its inputs in the order in which x has them.
            is_exact: float32 in any case.
        """
        weight, bias = layer.weight.detach().cpu().float().t(), self.constant(layer.bias.float())
        weight = weight if order is None else weight[order]
        if self._arithmetic == "float32" or is_exact:
            return self.op("Add", self.op("MatMul", x, self.constant(weight)), bias)
        scale = (weight.abs().amax(dim=0) / 127.0).clamp_min(torch.finfo(torch.float32).tiny)
        rounded = (weight / scale).round().to(torch.int8)
        zeros = self.constant(torch.zeros(len(scale), dtype=torch.int8))
        inputs = (x, self.constant(rounded), self.constant(scale), zeros, bias)
        return self.op("DynamicQuantizeMatMul", *inputs, domain="com.microsoft")

    def norm(self, x: str, layer: nn.LayerNorm) -> str:
        """Layer normalization over the last axis, with or without learnt scale and shift."""
        weight = torch.ones(layer.normalized_shape) if layer.weight is None else layer.weight.float()
        shift = [] if layer.bias is None else [self.constant(layer.bias.float())]
        return self.op("LayerNormalization", x, self.constant(weight), *shift, axis=-1, epsilon=layer.eps)

    def concat(self, *values: str, axis: int) -> str:
        """Values behind one another."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def cut(self, x: str, first: int, beyond_last: int | None, *, axis: int) -> str:
        """`x[first:beyond_last]` along an axis, negative numbers from its end, as in Python."""
        ends = [_ALL if beyond_last is None else beyond_last]
        return self.op("Slice", x, *map(self.constant, ([first], ends, [axis])))

    def split(self, x: str, sizes: list[int], *, axis: int) -> list[str]:
        """Parts of these sizes, at least one."""
        return self._node("Split", (x, self.constant(sizes)), count=len(sizes), axis=axis)

    def reshape(self, x: str, *shape: int) -> str:
        """In another shape; 0: as it was, -1: what remains."""
        return self.op("Reshape", x, self.constant(list(shape)))

    def serialized(self) -> bytes:
        """The finished model, checked."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, list(self._constants.values()))
        imports = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION, producer_name="diffusiontalker")
        return model.SerializeToString()

    def _node(self, kind: str, inputs: Sequence[str], *, count: int, domain: str = "", **attributes: Any) -> list[str]:
        outputs = [f"v{len(self._nodes)}_{number}" for number in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, domain=domain, **attributes))
        return outputs
