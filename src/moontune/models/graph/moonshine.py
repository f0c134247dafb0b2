"""Moonshine as the two ONNX graphs of the vendor's first format.

`encoder_model.onnx` hears a clip; `decoder_model_merged.onnx` writes, in its branch without a cache
the first token and what it remembers of the clip, in the other every further token. Names, order,
types and shapes of inputs and outputs are the vendor's; the nodes are not. The first call's pasts
are ignored, whatever their shape, and later calls give no `present.*.encoder.*` (they are empty):
the vendor's programs rely on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from moontune.models.graph.builder import Constants, Graph, branch, model
from moontune.models.graph.messages import BOOL, FLOAT, INT64, Value

Weights = Mapping[str, np.ndarray]  # of the merged model, by their names in PyTorch
Notes = Mapping[str, str]
HIDDEN = -1e9  # added to the score of a place that must not be looked at
UNHEARD = "encoder_bias"  # an input of moontune's own: what is added to scores of the states


@dataclass(frozen=True)
class Shape:
    """Facts of a net that its weights do not say."""

    heads: int
    encoder_heads: int
    norm_eps: float
    layer_norm_eps: float
    inv_freq: np.ndarray  # of the rotary positions, (rotary dimensions / 2,)
    rotary_scale: float


class _Net:
    """Parts that encoder and decoder share, added to a graph. x is (batch, length, width)."""

    def __init__(self, g: Graph, weights: Weights, shape: Shape, at: str, heads: int) -> None:
        self.g, self.weights, self.shape, self.at, self.heads = g, weights, shape, at, heads
        self.width = len(weights[f"{at}.layers.0.input_layernorm.weight"])
        self.head_dim = self.width // heads

    def w(self, name: str) -> np.ndarray:
        return self.weights[f"{self.at}.{name}"]

    def constant(self, name: str) -> str:
        return self.g.constants.add(f"{self.at}.{name}", self.w(name))

    def norm(self, x: str, name: str) -> str:
        scale = self.constant(f"{name}.weight")
        return self.g("LayerNormalization", x, scale, epsilon=self.shape.layer_norm_eps)

    def linear(self, x: str, *names: str) -> str:
        """One or several linear layers of the same x, their outputs side by side."""
        matrix = np.concatenate([self.w(f"{name}.weight").T for name in names], axis=1)
        kind = names[0].rpartition(".")[0]
        joined = "+".join(name.rpartition(".")[2] for name in names)
        out = self.g.product(x, f"{self.at}.{kind}.{joined}.weight", matrix)
        biases = [f"{name}.bias" for name in names if f"{self.at}.{name}.bias" in self.weights]
        if not biases:
            return out
        assert len(biases) == len(names) == 1
        return self.g("Add", out, self.constant(biases[0]))

    def turns(self, places: str) -> tuple[str, str]:
        """Cosines and sines of the rotary positions at places (length,): (length, 1, head_dim).

        A pair that does not turn has frequency 0, and so cosine 1 and sine 0.
        """
        g, shape = self.g, self.shape
        assert shape.rotary_scale == 1.0
        freq = np.zeros(self.head_dim, np.float32)
        freq[: 2 * len(shape.inv_freq)] = np.repeat(shape.inv_freq, 2)
        rows = g("Unsqueeze", g("Cast", places, to=FLOAT), g.number([1, 2]))
        angles = g("Mul", rows, g.constants.add("rotary.frequencies", freq))
        return g("Cos", angles), g("Sin", angles)

    def turned(self, x: str, turns: tuple[str, str]) -> str:
        """Rotate (batch, length, heads, head_dim): each pair (a, b) is one complex number.

        The matrix makes (-b, a) of it, exactly: every sum in the product has one term.
        """
        g = self.g
        across = np.zeros((self.head_dim, self.head_dim), np.float32)
        pairs = np.arange(0, 2 * len(self.shape.inv_freq), 2)
        across[pairs + 1, pairs], across[pairs, pairs + 1] = -1, 1
        crossed = g("MatMul", x, g.constants.add("rotary.across", across))
        return g("Add", g("Mul", x, turns[0]), g("Mul", crossed, turns[1]))

    def split_heads(self, x: str, parts: int) -> str:
        """(batch, length, parts * width) to (batch, length, parts * heads, head_dim)."""
        shape = [0, 0, parts * self.heads, self.head_dim]
        return self.g("Reshape", x, self.g.number(shape))

    def by_head(self, x: str, out: str = "") -> str:
        """(batch, length, heads, head_dim) to (batch, heads, length, head_dim)."""
        return self.g("Transpose", x, out=out, perm=[0, 2, 1, 3])

    def look(self, q: str, keys: str, values: str, bias: str | None) -> str:
        """Attention; q, keys and values by head. Returns (batch, length, width)."""
        g = self.g
        q = g("Mul", q, g.number(float(self.head_dim**-0.5)))
        scores = g("MatMul", q, g("Transpose", keys, perm=[0, 1, 3, 2]))
        if bias is not None:
            scores = g("Add", scores, bias)
        found = g("MatMul", g("Softmax", scores, axis=-1), values)
        return g("Reshape", self.by_head(found), g.number([0, 0, self.width]))

    def qkv(self, x: str, layer: str, turns: tuple[str, str]) -> tuple[str, str, str]:
        """Queries, keys and values of self-attention, (batch, length, heads, head_dim) each."""
        h = self.heads
        names = (f"{layer}.self_attn.{part}_proj" for part in "qkv")
        both, v = self.g.split(self.split_heads(self.linear(x, *names), 3), [2 * h, h], 2)
        q, k = self.g.split(self.turned(both, turns), [h, h], 2)
        return q, k, v

    def places(self, start: str, end: str) -> str:
        return self.g("Range", start, end, self.g.number(1))

    def bias(self, seen: str) -> str:
        """The mask to add to scores, 0 where `seen` is true."""
        return self.g("Where", seen, self.g.number(0.0), self.g.number(HIDDEN))


def encoder_model(weights: Weights, shape: Shape, constants: Constants, notes: Notes) -> bytes:
    """`input_values` (batch, samples) and `attention_mask` to `last_hidden_state`.

    A clip that ends before its row does is heard as if it were alone: its norm over time and its
    attention leave the padding out. (The vendor's own graph takes padding into that norm.)
    """
    g = Graph(constants)
    net = _Net(g, weights, shape, "model.encoder", shape.encoder_heads)
    x = g("Unsqueeze", "input_values", g.number([1]))
    x = g("Tanh", _convolution(net, x, "conv1"))
    real = _real_frames(net, ["conv1"])
    x = _norm_over_time(net, x, real)
    x = _gelu(g, _convolution(net, x, "conv2"))
    x = _gelu(g, _convolution(net, x, "conv3"))
    x = g("Transpose", x, perm=[0, 2, 1])
    frames = g.size(x, 1)
    places = net.places(g.number(0), frames)
    turns = net.turns(places)
    seen = g("Less", places, _real_frames(net, ["conv1", "conv2", "conv3"]))
    bias = net.bias(g("Unsqueeze", seen, g.number([1, 2])))
    for layer in _layers(weights, "model.encoder"):
        q, k, v = net.qkv(net.norm(x, f"{layer}.input_layernorm"), layer, turns)
        heard = net.look(*map(net.by_head, (q, k, v)), bias)
        x = g("Add", x, net.linear(heard, f"{layer}.self_attn.o_proj"))
        up = net.linear(net.norm(x, f"{layer}.post_attention_layernorm"), f"{layer}.mlp.fc1")
        x = g("Add", x, net.linear(_gelu(g, up), f"{layer}.mlp.fc2"))
    scale = net.constant("layer_norm.weight")
    g(
        "LayerNormalization",
        x,
        scale,
        out="last_hidden_state",
        epsilon=shape.layer_norm_eps,
    )
    inputs = [
        Value("input_values", FLOAT, ["batch_size", "num_samples"]),
        Value("attention_mask", INT64, ["batch_size", "num_samples"]),
    ]
    out = ["batch_size", "encoder_sequence_length", net.width]
    outputs = [Value("last_hidden_state", FLOAT, out)]
    return model("moonshine_encoder", g, inputs, outputs, notes)


def _layers(weights: Weights, half: str) -> list[str]:
    count = sum(name.startswith(f"{half}.layers.") for name in weights)
    names = [f"layers.{i}" for i in range(count)]
    return [n for n in names if f"{half}.{n}.input_layernorm.weight" in weights]


_STEPS = {"conv1": 64, "conv2": 3, "conv3": 2}


def _convolution(net: _Net, x: str, name: str) -> str:
    inputs = [x, net.constant(f"{name}.weight")]
    if f"{net.at}.{name}.bias" in net.weights:
        inputs.append(net.constant(f"{name}.bias"))
    return net.g("Conv", *inputs, strides=[_STEPS[name]])


def _real_frames(net: _Net, convolutions: Sequence[str]) -> str:
    """The number of frames of each clip that are of its own samples, (batch, 1)."""
    g = net.g
    silent = g("Sub", g.number(1), "attention_mask")
    padding = g("ReduceSum", silent, g.number([1]), keepdims=1)
    real = g("Sub", g.size("input_values", 1), padding)
    for name in convolutions:
        kernel = net.w(f"{name}.weight").shape[-1]
        spare = g("Sub", real, g.number(kernel - _STEPS[name]))
        real = g("Div", spare, g.number(_STEPS[name]))
    return real


def _norm_over_time(net: _Net, x: str, real: str) -> str:
    """GroupNorm of one group over the real frames of (batch, width, frames); `real`: (batch, 1)."""
    g, width = net.g, net.width
    places = net.places(g.number(0), g.size(x, 2))
    mask = g("Unsqueeze", g("Cast", g("Less", places, real), to=FLOAT), g.number([1]))
    count = g("Cast", g("Mul", real, g.number(width)), to=FLOAT)
    count = g("Unsqueeze", count, g.number([2]))

    def mean(values: str) -> str:  # in two steps, which sums more exactly than in one
        over_time = g("ReduceSum", values, g.number([2]), keepdims=1)
        return g("Div", g("ReduceSum", over_time, g.number([1]), keepdims=1), count)

    centred = g("Mul", g("Sub", x, mean(g("Mul", x, mask))), mask)
    variance = mean(g("Mul", centred, centred))
    spread = g("Sqrt", g("Add", variance, g.number(net.shape.norm_eps)))
    scale, offset = (
        g.constants.add(f"{net.at}.groupnorm.{part}", net.w(f"groupnorm.{part}")[:, None])
        for part in ("weight", "bias")
    )
    return g("Add", g("Mul", g("Div", centred, spread), scale), offset)


def _gelu(g: Graph, x: str) -> str:
    """x / 2 (1 + erf(x / sqrt 2)), in the order that onnxruntime knows and fuses."""
    one = g("Add", g("Erf", g("Div", x, g.number(float(np.float32(2**0.5))))), g.number(1.0))
    return g("Mul", g("Mul", x, one), g.number(0.5))


def decoder_model(
    weights: Weights,
    shape: Shape,
    constants: Constants,
    notes: Notes,
    *,
    for_several: bool = False,
) -> bytes:
    """One If: its branches hold nodes, and share the weights, which lie around it.

    With `for_several` it has the input `UNHEARD`, (batch, 1, 1, encoder states), which the vendor's
    does not know: so clips of unequal length can be written together.
    """
    with_past, no_past = (
        _Writer(constants, weights, shape, cached, for_several) for cached in (True, False)
    )
    g = Graph(constants)
    g.outputs(
        "If",
        [g("Squeeze", "use_cache_branch", g.number([0]))],
        [out.name for out in no_past.outputs()],
        then_branch=with_past.branch(),
        else_branch=no_past.branch(),
    )
    return model("moonshine_decoder", g, no_past.inputs(), no_past.outputs(), notes)


class _Writer:
    """One branch of the decoder: with the pasts of earlier calls, or without any."""

    def __init__(
        self,
        constants: Constants,
        weights: Weights,
        shape: Shape,
        cached: bool,
        for_several: bool,
    ) -> None:
        self.name = "with_past" if cached else "no_past"
        self._g = Graph(constants, f"{self.name}.")
        self._net = _Net(self._g, weights, shape, "model.decoder", shape.heads)
        self._cached = cached
        self._unheard = UNHEARD if for_several else None
        self._layers = _layers(weights, "model.decoder")
        self._head = np.ascontiguousarray(weights["model.decoder.embed_tokens.weight"].T)

    def _past(self, prefix: str, decoder: str, encoder: str) -> list[Value]:
        net = self._net
        return [
            Value(
                f"{prefix}.{i}.{half}.{part}",
                FLOAT,
                ["batch_size", net.heads, length, net.head_dim],
            )
            for i in range(len(self._layers))
            for half, length in (("decoder", decoder), ("encoder", encoder))
            for part in ("key", "value")
        ]

    def inputs(self) -> list[Value]:
        hidden = ["batch_size", "encoder_sequence_length", self._net.width]
        bias = ["batch_size", 1, 1, "encoder_sequence_length"]
        return [
            Value("input_ids", INT64, ["batch_size", "decoder_sequence_length"]),
            Value("encoder_hidden_states", FLOAT, hidden),
            *self._past(
                "past_key_values", "past_decoder_sequence_length", "encoder_sequence_length_out"
            ),
            Value("use_cache_branch", BOOL, [1]),
            *([Value(self._unheard, FLOAT, bias)] if self._unheard else []),
        ]

    def outputs(self) -> list[Value]:
        logits = ["batch_size", "decoder_sequence_length", self._head.shape[1]]
        lengths = "total_decoder_sequence_length", "encoder_sequence_length_out"
        return [Value("logits", FLOAT, logits), *self._past("present", *lengths)]

    def branch(self) -> bytes:
        return branch(self.name, self._build(), self.outputs(), self._out(""))

    def _build(self) -> Graph:
        g, net = self._g, self._net
        x = g.columns("input_ids", "model.decoder.embed_tokens.weight", self._head)
        start = g.size("past_key_values.0.decoder.key", 2) if self._cached else g.number(0)
        end = g("Add", start, g.size("input_ids", 1))
        places = net.places(start, end)
        earlier = g(
            "LessOrEqual", net.places(g.number(0), end), g("Unsqueeze", places, g.number([1]))
        )
        bias, turns = net.bias(earlier), net.turns(places)
        for i, layer in enumerate(self._layers):
            x = self._layer(x, i, layer, turns, bias)
        name = "model.decoder.embed_tokens.weight"
        g.product(net.norm(x, "norm"), name, self._head, out=self._out("logits"))
        return g

    def _out(self, name: str) -> str:
        """The If's outputs have the plain names, its branches' must differ from them."""
        return f"{self.name}.{name}"

    def _layer(self, x: str, i: int, layer: str, turns: tuple[str, str], bias: str) -> str:
        g, net = self._g, self._net
        q, k, v = net.qkv(net.norm(x, f"{layer}.input_layernorm"), layer, turns)
        keys, values = (self._grown(i, part, new) for part, new in (("key", k), ("value", v)))
        said = net.look(net.by_head(q), keys, values, bias)
        x = g("Add", x, net.linear(said, f"{layer}.self_attn.o_proj"))
        q = net.linear(
            net.norm(x, f"{layer}.post_attention_layernorm"), f"{layer}.encoder_attn.q_proj"
        )
        keys, values = self._heard(i, layer)
        heard = net.look(net.by_head(net.split_heads(q, 1)), keys, values, self._unheard)
        x = g("Add", x, net.linear(heard, f"{layer}.encoder_attn.o_proj"))
        up = net.linear(net.norm(x, f"{layer}.final_layernorm"), f"{layer}.mlp.fc1")
        half = len(net.w(f"{layer}.mlp.fc1.weight")) // 2
        said, gate = g.split(up, [half, half], 2)
        gate = g("Mul", gate, g("Sigmoid", gate))
        return g("Add", x, net.linear(g("Mul", gate, said), f"{layer}.mlp.fc2"))

    def _grown(self, i: int, part: str, new: str) -> str:
        """Keys or values of the tokens so far, with those of this call behind them."""
        out = self._out(f"present.{i}.decoder.{part}")
        if not self._cached:
            return self._net.by_head(new, out)
        past = f"past_key_values.{i}.decoder.{part}"
        return self._g("Concat", past, self._net.by_head(new), out=out, axis=2)

    def _heard(self, i: int, layer: str) -> tuple[str, str]:
        """Keys and values of the encoder's states: remembered, or computed."""
        g, net = self._g, self._net
        names = [f"{{}}.{i}.encoder.{part}" for part in ("key", "value")]
        if self._cached:
            empty = np.zeros((0, net.heads, 1, net.head_dim), np.float32)
            for name in names:  # as the vendor's: whoever calls has them already
                nothing = g.constants.add("nothing", empty)
                g("Identity", nothing, out=self._out(name.format("present")))
            keys, values = (name.format("past_key_values") for name in names)
            return keys, values
        parts = (f"{layer}.encoder_attn.{part}_proj" for part in "kv")
        both = net.split_heads(net.linear("encoder_hidden_states", *parts), 2)
        halves = g.split(both, [net.heads, net.heads], 2)
        keys, values = (
            net.by_head(half, self._out(name.format("present")))
            for half, name in zip(halves, names, strict=True)
        )
        return keys, values
