"""Greedy transcripts of several clips at once, by graphs that were built for several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from moontune.models.graph.moonshine import HIDDEN, UNHEARD

# Clips that have ended leave once they are this share of those together.
_LEAVE_AT = 0.25


class Together:
    """Clips to token ids with the sessions of an encoder and a decoder `for_several` clips.

    Each clip is heard alone; they are written together, since a step that reads all weights for one
    token costs little more for several. What one gives does not depend on the others.
    """

    def __init__(self, encoder: Any, decoder: Any) -> None:
        import onnxruntime

        self._encoder, self._decoder = encoder, decoder
        self._of_array = onnxruntime.OrtValue.ortvalue_from_numpy
        inputs = {i.name: i for i in decoder.get_inputs()}
        self._pasts = [name for name in inputs if name.startswith("past_key_values.")]
        _, self._heads, _, self._head_dim = inputs[self._pasts[0]].shape
        made = json.loads(decoder.get_modelmeta().custom_metadata_map["moontune"])
        self._start, self.end = made["decoder_start_token_id"], made["eos_token_id"]

    @property
    def past_shape(self) -> tuple[int, int]:
        """Heads, and the width of one, of the keys and values that are remembered."""
        return self._heads, self._head_dim

    def write(self, clips: Sequence[np.ndarray], most: Sequence[int]) -> list[list[int]]:
        """The tokens of float32 mono 16 kHz clips, (samples,) each: EOS and all, at most so many
        each."""
        if not clips:
            return []
        states, unheard = self._heard(clips)
        nothing = np.zeros((len(clips), self._heads, 0, self._head_dim), np.float32)
        feeds = dict.fromkeys(self._pasts, self._of_array(nothing))
        feeds |= self._of_clips(states, unheard)
        written: list[list[int]] = [[] for _ in clips]
        rows = list(range(len(clips)))  # the clips that are together, by their place
        wanted, last = self._pasts, np.full(len(clips), self._start)
        while rows:
            feeds |= {
                "input_ids": self._of_array(last[:, None]),
                "use_cache_branch": self._of_array(np.array([wanted is not self._pasts])),
            }
            outputs = ["logits", *(name.replace("past_key_values", "present") for name in wanted)]
            logits, *presents = self._decoder.run_with_ort_values(outputs, feeds)
            feeds |= dict(zip(wanted, presents, strict=True))
            last = logits.numpy()[:, -1].argmax(axis=1)
            for row, token in zip(rows, last.tolist(), strict=True):
                if self._goes_on(written[row], most[row]):
                    written[row].append(token)
            stay = [i for i, row in enumerate(rows) if self._goes_on(written[row], most[row])]
            if len(rows) - len(stay) >= _LEAVE_AT * len(rows):
                rows = [rows[i] for i in stay]
                states, unheard, last = states[stay], unheard[stay], last[stay]
                feeds |= self._of_clips(states, unheard)
                for name in self._pasts:
                    feeds[name] = self._of_array(feeds[name].numpy()[stay])
            wanted = [name for name in self._pasts if ".decoder." in name]
        return written

    def _of_clips(self, states: np.ndarray, unheard: np.ndarray) -> dict[str, Any]:
        return {
            "encoder_hidden_states": self._of_array(states),
            UNHEARD: self._of_array(unheard),
        }

    def _goes_on(self, tokens: list[int], most: int) -> bool:
        return len(tokens) < most and tokens[-1:] != [self.end]

    def _heard(self, clips: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The encoder's states (clips, frames, width), zero behind a clip's own, and what keeps
        the decoder from these, (clips, 1, 1, frames)."""
        found = []
        for clip in clips:
            samples = np.ascontiguousarray(clip, np.float32)[None]
            every = np.ones(samples.shape, np.int64)
            heard = {"input_values": samples, "attention_mask": every}
            found.append(self._encoder.run(None, heard)[0][0])
        frames = max(map(len, found))
        states = np.zeros((len(found), frames, found[0].shape[1]), np.float32)
        unheard = np.full((len(found), 1, 1, frames), HIDDEN, np.float32)
        for i, one in enumerate(found):
            states[i, : len(one)], unheard[i, ..., : len(one)] = one, 0
        return states, unheard
