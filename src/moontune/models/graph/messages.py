"""ONNX's messages, as bytes: what the package onnx would write.

A model is a tree of protocol-buffer messages, each a list of numbered fields (onnx.proto3 of IR
version 8). Those that moontune writes are few, and importing the package takes as long as
transcribing a sentence. `moontune export` has the package check what is written here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FLOAT, UINT8, INT64, BOOL = 1, 2, 7, 9  # TensorProto.DataType
_TYPES = {"float32": FLOAT, "uint8": UINT8, "int64": INT64, "bool": BOOL}
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_GRAPH, _ATTRIBUTE_INTS = 1, 2, 5, 7


def _varint(n: int) -> bytes:
    n &= 2**64 - 1  # a negative number is its complement of two
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _int(field: int, n: int) -> bytes:
    return _varint(field << 3) + _varint(n)


def _bytes(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _all(field: int, contents: Iterable[bytes | str]) -> bytes:
    return b"".join(_bytes(field, content) for content in contents)


def tensor(name: str, value: np.ndarray) -> bytes:
    """A TensorProto: a constant of a graph."""
    dims = b"".join(_int(1, n) for n in value.shape)
    kind = _int(2, _TYPES[value.dtype.name])
    return b"".join((dims, kind, _bytes(8, name), _bytes(9, value.tobytes())))


def tensor_elsewhere(name: str, value: np.ndarray) -> bytes:
    """A TensorProto without its numbers, which onnxruntime is given beside the model."""
    dims = b"".join(_int(1, n) for n in value.shape)
    place = _bytes(1, "location") + _bytes(2, "memory")
    kind = _int(2, _TYPES[value.dtype.name])
    return b"".join((dims, kind, _bytes(8, name), _bytes(13, place), _int(14, 1)))


@dataclass(frozen=True)
class Value:
    """An input or output; a dimension with a name may have any length."""

    name: str
    kind: int
    shape: Sequence[int | str]

    def message(self, prefix: str = "") -> bytes:
        """A ValueInfoProto."""
        dims = [_int(1, n) if isinstance(n, int) else _bytes(2, n) for n in self.shape]
        of_tensor = _int(1, self.kind) + _bytes(2, _all(1, dims))
        return _bytes(1, prefix + self.name) + _bytes(2, _bytes(1, of_tensor))


def node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str, attributes: dict[str, Any]
) -> bytes:
    """A NodeProto; an attribute is a float, an int, ints, or a graph's bytes."""
    made = [_attribute(key, value) for key, value in sorted(attributes.items())]
    parts = (_all(1, inputs), _all(2, outputs), _bytes(3, name), _bytes(4, kind), _all(5, made))
    return b"".join(parts)


def _attribute(name: str, value: float | int | Sequence[int] | bytes) -> bytes:
    if isinstance(value, bytes):
        content, kind = _bytes(6, value), _ATTRIBUTE_GRAPH
    elif isinstance(value, float):
        content, kind = _varint(2 << 3 | 5) + struct.pack("<f", value), _ATTRIBUTE_FLOAT
    elif isinstance(value, int):
        content, kind = _int(3, value), _ATTRIBUTE_INT
    else:
        content, kind = b"".join(_int(8, n) for n in value), _ATTRIBUTE_INTS
    return _bytes(1, name) + content + _int(20, kind)


def graph(
    name: str,
    nodes: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    constants: Iterable[bytes] = (),
) -> bytes:
    """A GraphProto."""
    parts = (_all(1, nodes), _bytes(2, name), _all(5, constants), _all(11, inputs))
    return b"".join((*parts, _all(12, outputs)))


def model(
    of_graph: bytes, *, opset: int, ir_version: int, producer: str, notes: dict[str, str]
) -> bytes:
    """A ModelProto with one graph of ONNX's own operators."""
    rows = [_bytes(1, key) + _bytes(2, value) for key, value in notes.items()]
    parts = (_int(1, ir_version), _bytes(2, producer), _bytes(7, of_graph))
    operators = _bytes(8, _bytes(1, "") + _int(2, opset))
    return b"".join((*parts, operators, _all(14, rows)))
