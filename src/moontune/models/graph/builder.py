"""ONNX graphs written node by node, with matrices in float32 or 8 bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from moontune.models.graph import messages
from moontune.models.graph.messages import FLOAT, Value

OPSET = 17  # the first with LayerNormalization; every onnxruntime since 1.12 has it
IR_VERSION = 8
_LARGE = 1024  # bytes


def quantized(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A float matrix (in, out) as uint8 with zero point 128, and the scale of each column (out,).

    Unsigned as the vendor's: on processors without 8-bit dot products, sums of pairs of signed
    products with unsigned activations would saturate.
    """
    scale = np.abs(matrix).max(axis=0).clip(min=1e-12) / np.float32(127)
    return (np.rint(matrix / scale) + 128).astype(np.uint8), scale.astype(np.float32)


class Constants:
    """Tensors that the nodes of a graph and of its branches share, each stored once.

    With `apart` the model is written without the numbers of large ones: `outside` has them.
    """

    def __init__(
        self, *, eight_bit: bool = False, spared: Sequence[str] = (), apart: bool = False
    ) -> None:
        self.tensors: dict[str, np.ndarray] = {}
        self._apart = apart
        self.eight_bit, self._spared = eight_bit, tuple(spared)
        self.spared: set[str] = set()  # parts of names that a layer has

    def add(self, name: str, value: Any) -> str:
        """Keep a tensor under a name; the same tensor may come again."""
        array = np.ascontiguousarray(value)
        known = self.tensors.setdefault(name, array)
        assert np.array_equal(known, array), f"two constants are called {name}"
        return name

    def number(self, value: float | int | Sequence[int]) -> str:
        """A constant named by its value: int64, or float32 for a float."""
        array = np.asarray(value, np.float32 if isinstance(value, float) else np.int64)
        return self.add(f"const.{array.dtype}.{value}".replace(" ", ""), array)

    def spares(self, name: str) -> bool:
        """Whether what a layer's matrix multiplies is not to be rounded; the matrix itself is."""
        found = {part for part in self._spared if part in name and ".layers." in name}
        self.spared |= found
        return bool(found)

    def codes(self, name: str, matrix: np.ndarray) -> tuple[str, str]:
        """Keep a matrix in 8 bit; returns the names of its codes and of its columns' scales."""
        names = f"{name}.uint8", f"{name}.scale"
        if names[0] not in self.tensors:
            self.tensors |= dict(zip(names, quantized(matrix), strict=True))
        return names

    def outside(self) -> dict[str, np.ndarray]:
        """What the model does not hold, and must be given beside it."""
        large = {name: value for name, value in self.tensors.items() if value.nbytes >= _LARGE}
        return large if self._apart else {}

    def initializers(self) -> Iterator[bytes]:
        outside = self.outside()
        for name, value in self.tensors.items():
            write = messages.tensor_elsewhere if name in outside else messages.tensor
            yield write(name, value)


class Graph:
    """Nodes in their order. A value is known by its name, which is unique among all branches."""

    def __init__(self, constants: Constants, prefix: str = "") -> None:
        self.constants, self._prefix = constants, prefix
        self.nodes: list[bytes] = []
        self._rounded: dict[str, list[str]] = {}  # values in 8 bit, by the float value's name

    def __call__(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns the output's name."""
        return self.outputs(kind, inputs, [out or self._name(kind)], **attributes)[0]

    def outputs(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> list[str]:
        name = f"{self._prefix}{kind}_{len(self.nodes)}"
        self.nodes.append(messages.node(kind, inputs, outputs, name, attributes))
        return list(outputs)

    def _name(self, kind: str) -> str:
        return f"{self._prefix}{len(self.nodes)}.{kind}"

    def number(self, value: float | int | Sequence[int]) -> str:
        return self.constants.number(value)

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        names = [f"{self._name('Split')}.{i}" for i in range(len(sizes))]
        return self.outputs("Split", [x, self.number(sizes)], names, axis=axis)

    def size(self, x: str, axis: int) -> str:
        """The length of one axis, ()."""
        return self("Gather", self("Shape", x), self.number(axis))

    def product(self, x: str, name: str, matrix: np.ndarray, out: str = "") -> str:
        """x (..., in) times a constant matrix (in, out)."""
        if not self.constants.eight_bit:
            return self("MatMul", x, self.constants.add(name, matrix), out=out)
        if self.constants.spares(name):
            return self("MatMul", x, self._unrounded(name, matrix), out=out)
        codes, scale = self.constants.codes(name, matrix)
        rounded, step, zero = self._round(x)
        of_codes = self.constants.add("uint8.zero", np.uint8(128))
        sums = self("MatMulInteger", rounded, codes, zero, of_codes)
        return self("Mul", self("Cast", sums, to=FLOAT), self("Mul", step, scale), out=out)

    def _unrounded(self, name: str, matrix: np.ndarray) -> str:
        """A matrix kept in 8 bit, as float: (1, in, out).

        With the first dimension onnxruntime leaves it alone; of two it makes an operator that its
        older versions lack, or fails to, in a branch.
        """
        codes, scale = quantized(matrix)
        zeros = np.full(len(scale), 128, np.uint8)
        return self(
            "DequantizeLinear",
            self.constants.add(f"{name}.uint8", codes[None]),
            self.constants.add(f"{name}.scale", scale),
            self.constants.add(f"uint8.zero.{len(scale)}", zeros),
            axis=2,
        )

    def _round(self, x: str) -> list[str]:
        """x in uint8, with its scale and zero point; one rounding serves all that multiply it."""
        if x not in self._rounded:
            names = [f"{x}.{part}" for part in ("uint8", "scale", "zero")]
            self._rounded[x] = self.outputs("DynamicQuantizeLinear", [x], names)
        return self._rounded[x]

    def columns(self, ids: str, name: str, matrix: np.ndarray) -> str:
        """Columns of a constant matrix (width, many) by ids (batch, n): (batch, n, width)."""
        if not self.constants.eight_bit:
            taken = self("Gather", self.constants.add(name, matrix), ids, axis=1)
            return self("Transpose", taken, perm=[1, 2, 0])
        codes, scale = self.constants.codes(name, matrix)
        taken = self("Cast", self("Gather", codes, ids, axis=1), to=FLOAT)
        centred = self("Sub", taken, self.number(128.0))
        steps = self("Gather", scale, ids)
        return self("Transpose", self("Mul", centred, steps), perm=[1, 2, 0])


def model(
    name: str,
    graph: Graph,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    notes: Mapping[str, str],
) -> bytes:
    """An ONNX model. `notes` become its metadata."""
    body = messages.graph(
        name,
        graph.nodes,
        [value.message() for value in inputs],
        [value.message() for value in outputs],
        graph.constants.initializers(),
    )
    return messages.model(
        body, opset=OPSET, ir_version=IR_VERSION, producer="moontune", notes=dict(notes)
    )


def branch(name: str, graph: Graph, outputs: Sequence[Value], prefix: str) -> bytes:
    """The nodes of one branch of an If; its constants lie in the graph around it."""
    return messages.graph(name, graph.nodes, [], [value.message(prefix) for value in outputs])
