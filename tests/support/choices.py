"""How far a model's greedy choices are from a tie.

Two correct implementations (onnxruntime and PyTorch, or one of them on two processors) round
differently, so transcripts are the same only where no choice is nearer to a tie than rounding.
A test that compares token ids of a random model first asserts that of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch

from moontune.models.base_model import Base
from moontune.models.decoding import Transcript


def assert_decided(
    base: Base, clips: Sequence[np.ndarray], transcripts: Sequence[Transcript]
) -> None:
    """Every token of the transcripts leads by over a hundred times what float32 rounds away.

    What is rounded away is measured as the difference to the same model in float64, for each clip.
    """
    exact = copy.deepcopy(base.net).double().eval()
    for clip, transcript in zip(clips, transcripts, strict=True):
        told = torch.tensor([[exact.config.decoder_start_token_id, *transcript.tokens[:-1]]])
        told = told.to(base.device)
        heard = {k: v.to(base.device) for k, v in base.architecture.own_inputs(clip).items()}
        in_double = heard | {"input_values": heard["input_values"].double()}
        with torch.no_grad():
            single = base.net(**heard, decoder_input_ids=told).logits[0]
            double = exact(**in_double, decoder_input_ids=told).logits[0]
        assert double.argmax(1).tolist() == list(transcript.tokens)
        best = double.topk(2).values
        rounding = float((single - double).abs().max())
        assert float((best[:, 0] - best[:, 1]).min()) > 100 * rounding, "a near tie"
