"""What moontune asks of an architecture.

The parts of its forward pass are `packed.forward.Parts`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch

from moontune.models.packed.forward import Parts
from moontune.models.packed.layers import Fuse


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
