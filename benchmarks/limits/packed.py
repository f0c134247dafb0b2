"""Which part of the model or the loop each function of moontune's packed forward is counted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode

from benchmarks.limits.ledger import Ledger, Part
from moontune.evaluation import evaluate
from moontune.models import transcriber
from moontune.models.packed import forward, front_end, greedy, head, head_loss, layers, lora_linear
from moontune.training import averaging, feature_cache, losses

PROJECTIONS, ADAPTERS, ATTENTION = "projections", "adapters", "attention"
BETWEEN = "norms, activations, residuals"
OTHERS = "Python and small operators"
ENCODER, FRAMES = "encoder", "keys and values of the frames"
DECODER, WRITER = "decoder, losses", "decoder, writing"
VOCABULARY = "vocabulary"
FRONT_END: Part = ("front end", "convolutions")
AUDIO: Part = ("data", "reading audio")
_PRODUCTS = (torch.nn.functional.linear, torch.Tensor.matmul)


class Scopes:
    """The ledger's parts, put around moontune's functions for the time of a block."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._halves = ledger, [""]

    @contextmanager
    def __call__(self) -> Iterator[None]:
        def kind(of: str) -> Callable[..., Part]:
            return lambda *_, **__: (self._halves[-1], of)

        def part(of: str, what: str) -> Callable[..., Part]:
            return lambda *_, **__: (of, what)

        with ExitStack() as stack:

            def patch(owner: Any, names: str, wrap: Callable[[Callable], Any]) -> None:
                for name in names.split():
                    found = wrap(getattr(owner, name))
                    kept = owner.__dict__.get(name)
                    made = staticmethod(found) if isinstance(kept, staticmethod) else found
                    stack.enter_context(mock.patch.object(owner, name, made))

            def count(owner: Any, names: str, as_part: Callable[..., Part]) -> None:
                patch(owner, names, lambda f: self._ledger.wrapped(f, as_part))

            def half(owner: Any, name: str, called: str) -> None:
                patch(owner, name, lambda f: self._half(f, called))

            half(forward.PackedForward, "encode", ENCODER)
            half(forward.PackedForward, "cross_keys", FRAMES)
            half(forward.PackedForward, "token_losses", DECODER)
            half(forward.PackedForward, "forced", DECODER)
            half(greedy.Writing, "_next", WRITER)
            half(greedy.Writing, "add", WRITER)
            half(greedy._Group, "leave", WRITER)
            count(front_end.FrontEnd, "__call__", part(*FRONT_END))
            for owner in (layers.EncoderLayer, layers.DecoderLayer, layers.Mlp, layers.Norm):
                count(owner, "__call__", kind(BETWEEN))
            attention = "self_attention cross_attention windowed_attention"
            count(layers, attention, kind(ATTENTION))
            count(greedy, "rotate frame_keys hidden_frames _attend_one", kind(ATTENTION))
            count(greedy._Layer, "remember some", kind(ATTENTION))
            count(greedy._Group, "look", kind(ATTENTION))
            count(lora_linear.FusedLoraLinear, "__call__", self._of_linear)
            for function in (lora_linear._Linear, lora_linear._BlockLinear):
                patch(function, "forward", self._product)
                patch(function, "backward", self._product_back)
            count(lora_linear, "_with_loras", lambda *_: (self._ledger.part[0], ADAPTERS))
            count(head.Head, "__call__", part(VOCABULARY, "logits to choose from"))
            count(head_loss.HeadLoss, "forward", part(VOCABULARY, "losses and their gradient"))
            count(forward, "losses_and_likeliest", part(VOCABULARY, "losses and their gradient"))
            count(losses.LossComputer, "labels", part("data", "labels as tokens"))
            count(feature_cache.FeatureCache, "__call__", part("data", "features that are kept"))
            count(torch.Tensor, "backward", part("backward", "the engine, and sums of gradients"))
            update = part("update", "clipping, AdamW, average")
            count(torch.nn.utils, "clip_grad_norm_", update)
            count(torch.optim.AdamW, "step", update)
            count(torch.optim.Optimizer, "zero_grad", update)
            count(averaging.WeightAverage, "update", update)
            count(transcriber.Transcriber, "__init__", part("weights", "merged, and put in order"))
            scoring = "word_edits character_edits normalize reference_in_style_of _summarize"
            count(evaluate, f"{scoring} target_ids", part("scoring", "tokens and error rates"))
            yield

    def _half(self, function: Callable, called: str) -> Callable:
        counted = self._ledger.wrapped(function, lambda *_, **__: (called, OTHERS))

        def call(*args: Any, **kwargs: Any) -> Any:
            self._halves.append(called)
            try:
                return counted(*args, **kwargs)
            finally:
                self._halves.pop()

        return call

    def _of_linear(self, linear: lora_linear.FusedLoraLinear, x: Any) -> Part:
        return self._halves[-1], ADAPTERS if any(linear._loras) else PROJECTIONS

    def _product(self, forward: Callable) -> Callable:
        def call(ctx: Any, x: Any, weight: Any, bias: Any, keep: Any, places: Any, *loras: Any):
            with self._split(self._halves[-1], weight, bool(loras)):
                return forward(ctx, x, weight, bias, keep, places, *loras)

        return call

    def _product_back(self, backward: Callable) -> Callable:
        def call(ctx: Any, grad: Any) -> Any:
            weight, *lora = ctx.saved_tensors
            if not ctx.needs_input_grad[0]:
                return backward(ctx, grad)
            with self._split(self._ledger.part[0], weight, bool(lora)):
                return backward(ctx, grad)

        return call

    @contextmanager
    def _split(self, half: str, weight: torch.Tensor, adapted: bool) -> Iterator[None]:
        """A linear layer's work up to the product with its frozen weight is a projection, what
        follows the adapter's."""
        with self._ledger.inside((half, PROJECTIONS)):
            if not adapted:
                yield
                return
            with _AfterProduct(weight, lambda: self._ledger.turn((half, ADAPTERS))):
                yield


class _AfterProduct(TorchFunctionMode):
    """Calls `then` after the product with `weight`, or with a copy that has a LoRA added."""

    def __init__(self, weight: torch.Tensor, then: Callable[[], None]) -> None:
        super().__init__()
        self._shape, self._then = weight.shape, then

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in _PRODUCTS and args[1].shape == self._shape:
            self._then()
        return out
