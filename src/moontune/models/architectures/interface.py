"""What moontune asks of an architecture: facts, and the parts of its forward pass.

A file that has these is all that a new kind of model takes. Most of the parts are there to choose
from in `packed/`; `packed.forward` runs them, for training, losses and transcripts alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from moontune.models.packed.layers import DecoderLayer, Fuse, Norm
from moontune.models.packed.layout import PackedClips
from moontune.models.packed.rotary import Rotary


@dataclass(frozen=True)
class FrameTimes:
    """The samples that the encoder's frames are computed from."""

    hop: int  # from one frame to the next
    centre: int  # of the first frame's; below zero where it looks back to before the clip


@dataclass(frozen=True)
class Decoder:
    """The half that writes: layers, and what stands before and behind them."""

    layers: Sequence[DecoderLayer]
    norm: Norm
    rotary: Rotary
    heads: int
    head_dim: int
    embedding: torch.Tensor  # (tokens, width)
    head: torch.Tensor  # (tokens, width)
    start: int
    eos: int


@dataclass(frozen=True)
class Parts:
    """A net, in the order of its forward pass."""

    # (samples,) of a clip to (frames, width) float32. No adapter is on it: what it gives may be
    # kept, whatever trains.
    features: Callable[[np.ndarray], torch.Tensor]
    # Features of clips to states, (rows, width). May be kept where no adapter is on it.
    encode: Callable[[PackedClips], torch.Tensor]
    # States to what the decoder's cross-attention looks at, (rows, width of the decoder), in a new
    # tensor. No adapter is on it.
    heard: Callable[[PackedClips], torch.Tensor]
    decoder: Decoder
    times: FrameTimes


class Architecture(ABC):
    """A kind of model, told by the `model_type` of its config.json."""

    model_type: ClassVar[str]
    net_class: ClassVar[str]  # of transformers, which loads and saves it
    # Linear layers, in `encoder.layers` and `decoder.layers`, that an adapter may be put on; all of
    # them by default. An adapter anywhere else is refused.
    linears: ClassVar[tuple[str, ...]]
    # Why it cannot be written as ONNX graphs, as the end of a sentence; None where it can.
    no_graphs: ClassVar[str | None]

    @abstractmethod
    def parts(self, net: Any, fuse: Fuse) -> Parts:
        """The parts of the forward pass: what goes through the encoder, what the decoder sees, and
        what of it may be kept.

        All `linears` go through `fuse`, which heeds the adapters on them. Raises UserError for a
        config that this forward does not compute.
        """

    @abstractmethod
    def own_inputs(self, clip: np.ndarray) -> dict[str, torch.Tensor]:
        """What transformers' own forward takes to hear one clip alone as `parts` hear it."""
