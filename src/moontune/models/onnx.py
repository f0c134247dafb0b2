"""Audio to text with an exported ONNX pair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.errors import UserError
from moontune.models.decoding import Transcript

ENCODER, DECODER, TOKENIZER = "encoder_model", "decoder_model_merged", "tokenizer.json"
_START, _END = 1, 2  # of every Moonshine; a graph of moontune's says its own


def import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            'this needs the package onnxruntime; install it with: pip install "moontune[export]"'
        ) from None
    return onnxruntime


def open_session(path: Path, threads: int | None = None) -> Any:
    """An onnxruntime session on the CPU. Raises UserError."""
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a kind of its own for each way to be damaged
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{path}: cannot be loaded ({reason}); make it again") from None


class OnnxTranscriber:
    """Hears and writes with `encoder_model` and `decoder_model_merged` of a folder, clip by clip.

    The folder holds them as `.onnx` or `.ort`, and `tokenizer.json`, or `tokenizer` names that.
    """

    def __init__(
        self, folder: Path, *, threads: int | None = None, tokenizer: Path | None = None
    ) -> None:
        """Raises UserError."""
        ort = import_onnxruntime()
        from tokenizers import Tokenizer

        self._encoder, self._decoder = (
            open_session(_graph(folder, name), threads) for name in (ENCODER, DECODER)
        )
        file = tokenizer or Path(folder) / TOKENIZER
        try:
            self.tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # a bare Exception, whatever is wrong
            raise UserError(f"{file}: is not a usable tokenizer ({error}); export again") from None
        self._of_array = ort.OrtValue.ortvalue_from_numpy
        inputs = {i.name: i for i in self._decoder.get_inputs()}
        self._pasts = [name for name in inputs if name.startswith("past_key_values.")]
        _, heads, _, width = inputs[self._pasts[0]].shape
        self.past_shape = heads, width  # of a place of the keys or values that are remembered
        self._nothing = np.zeros((1, heads, 0, width), np.float32)
        self._masked = "encoder_attention_mask" in inputs
        says = self._decoder.get_modelmeta().custom_metadata_map.get("moontune")
        made = json.loads(says) if says else {}
        self._start = made.get("decoder_start_token_id", _START)
        self._end = made.get("eos_token_id", _END)

    def __call__(self, clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        """Greedy transcripts of float32 mono 16 kHz clips, (samples,) each, under their caps."""
        return [self._transcript(clip, cap(len(clip) / SAMPLE_RATE_HZ)) for clip in clips]

    def _transcript(self, clip: np.ndarray, most: int) -> Transcript:
        tokens = self._write(clip, most)
        text = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        return Transcript(text, tokens, tokens[-1:] != [self._end])

    def _write(self, clip: np.ndarray, most: int) -> list[int]:
        samples = np.ascontiguousarray(clip, np.float32)[None]
        heard = {"input_values": samples, "attention_mask": np.ones(samples.shape, np.int64)}
        names = [i.name for i in self._encoder.get_inputs()]
        [states] = self._encoder.run(None, {name: heard[name] for name in names})
        feeds = {name: self._of_array(self._nothing) for name in self._pasts}
        feeds["encoder_hidden_states"] = self._of_array(states)
        if self._masked:  # the vendor's newer graphs: of the samples, not of the states
            feeds["encoder_attention_mask"] = self._of_array(heard["attention_mask"])
        tokens: list[int] = []
        wanted = self._pasts
        last = self._start
        while True:
            feeds["input_ids"] = self._of_array(np.array([[last]]))
            feeds["use_cache_branch"] = self._of_array(np.array([bool(tokens)]))
            outputs = ["logits", *(name.replace("past_key_values", "present") for name in wanted)]
            logits, *presents = self._decoder.run_with_ort_values(outputs, feeds)
            feeds |= dict(zip(wanted, presents, strict=True))
            last = int(logits.numpy()[0, -1].argmax())
            tokens.append(last)
            if last == self._end or len(tokens) == most:
                return tokens
            wanted = [name for name in self._pasts if ".decoder." in name]


def _graph(folder: Path, name: str) -> Path:
    for suffix in (".onnx", ".ort"):
        if (Path(folder) / f"{name}{suffix}").is_file():
            return Path(folder) / f"{name}{suffix}"
    raise UserError(f"{folder}: holds no {name}.onnx or .ort; give an exported folder")
