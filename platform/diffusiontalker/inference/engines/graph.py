"""Writing ONNX graphs by hand: values are names, layers are a line each. Knows nothing of talkers."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from diffusiontalker.models import cpu_has

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
        self._layers: dict[tuple[int, bool], list[str]] = {}
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

    def constant(self, value: Tensor | list[int] | float) -> str:
        """A tensor of the graph; a number becomes float32, a list int64."""
        if isinstance(value, Tensor):
            array = value.detach().cpu().numpy()
        else:
            array = np.asarray(value, dtype=np.int64 if isinstance(value, list) else np.float32)
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
        is_exact = is_exact or self._arithmetic == "float32"
        key = (id(layer), is_exact)
        if key not in self._layers:
            weight = layer.weight.detach().cpu().float().t()
            weight = weight if order is None else weight[order]
            tensors = [weight] if is_exact else _rounded(weight)
            self._layers[key] = [self.constant(tensor) for tensor in (*tensors, layer.bias.float())]
        constants = self._layers[key]  # once for all steps that use the layer
        if is_exact:
            return self.op("Add", self.op("MatMul", x, constants[0]), constants[1])
        return self.op("DynamicQuantizeMatMul", x, *constants, domain="com.microsoft")

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
        """The finished model."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, list(self._constants.values()))
        imports = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION, producer_name="diffusiontalker")
        return model.SerializeToString()

    def _node(self, kind: str, inputs: Sequence[str], *, count: int, domain: str = "", **attributes: Any) -> list[str]:
        outputs = [f"v{len(self._nodes)}_{number}" for number in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, domain=domain, **attributes))
        return outputs


def _rounded(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(inputs, outputs) in 8 bits; the scale of every output, and its zero."""
    # Without these instructions two products are added up in 16 bits, which full weights would exceed.
    levels = 127 if cpu_has("avx512_vnni", "avx_vnni", "asimddp") else 63
    scale = (weight.abs().amax(dim=0) / levels).clamp_min(torch.finfo(torch.float32).tiny)
    return (weight / scale).round().to(torch.int8), scale, torch.zeros(len(scale), dtype=torch.int8)
