"""Audio to text with an ONNX pair: an exported one, or graphs of weights that were just read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ, checked_samples, long_enough
from moontune.errors import UserError
from moontune.models.arrays import Arrays
from moontune.models.decoding import Transcript, whole_characters
from moontune.models.graph.builder import Constants
from moontune.models.graph.moonshine import decoder_model, encoder_model
from moontune.models.graph.together import Together
from moontune.models.standalone import (
    DECODER,
    ENCODER,
    Pair,
    graph_file,
    load_session,
    read_tokens,
    text_of,
)

TOKENIZER = "tokenizer.json"


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
    import_onnxruntime()
    try:
        return load_session(path, threads)
    except Exception as error:  # onnxruntime has a kind of its own for each way to be damaged
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{path}: cannot be loaded ({reason}); make it again") from None


class OnnxTranscriber:
    """Hears and writes with `encoder_model` and `decoder_model_merged` of a folder, clip by clip.

    The folder holds them as `.onnx` or `.ort`, and `tokenizer.json` or `tokenizer.bin`, or
    `tokenizer` names a tokenizer.json. `of_arrays` needs no such folder, and writes several clips
    together.
    """

    def __init__(
        self, folder: Path | str, *, threads: int | None = None, tokenizer: Path | None = None
    ) -> None:
        """Raises UserError."""
        folder = Path(folder)
        sessions = (open_session(_graph(folder, name), threads) for name in (ENCODER, DECODER))
        self._pair: Pair | Together = Pair(*sessions)
        file = tokenizer or folder / TOKENIZER
        self.tokenizer = None
        if tokenizer is None and not file.is_file() and (folder / "tokenizer.bin").is_file():
            self._bytes = read_tokens(folder)
        else:
            self.tokenizer = _tokenizer(file)

    @classmethod
    def of_arrays(cls, arrays: Arrays, *, threads: int | None = None) -> OnnxTranscriber:
        """The same of a model's weights, through graphs in float32 that no file holds."""
        import_onnxruntime()
        sessions = []
        for build in (encoder_model, partial(decoder_model, for_several=True)):
            constants = Constants(apart=True)
            graph = build(arrays.weights, arrays.shape, constants, arrays.notes)
            sessions.append(load_session(graph, threads, constants.outside()))
        made = cls.__new__(cls)
        made._pair = Together(*sessions)
        made.tokenizer = _tokenizer(arrays.tokenizer)
        return made

    @property
    def past_shape(self) -> tuple[int, int]:
        """Heads, and the width of one, of the keys and values that are remembered."""
        return self._pair.past_shape

    def __call__(self, clips: Sequence[np.ndarray], cap: TokenCap) -> list[Transcript]:
        """Greedy transcripts of float32 mono 16 kHz clips, (samples,) each, under their caps.
        Raises UserError for what is no such clip."""
        clips = [long_enough(checked_samples(clip)) for clip in clips]
        most = [cap(len(clip) / SAMPLE_RATE_HZ) for clip in clips]
        if isinstance(self._pair, Together):
            return list(map(self._transcript, self._pair.write(clips, most)))
        return [self._transcript(self._pair.write(*one)) for one in zip(clips, most, strict=True)]

    def text_of(self, tokens: Sequence[int]) -> str:
        """What the tokens say."""
        if self.tokenizer is None:
            return text_of(tokens, self._bytes)
        return whole_characters(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _transcript(self, tokens: list[int]) -> Transcript:
        return Transcript(self.text_of(tokens), tokens, tokens[-1:] != [self._pair.end])


def _tokenizer(file: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # a bare Exception, whatever is wrong
        raise UserError(f"{file}: is not a usable tokenizer ({error}); export again") from None


def _graph(folder: Path, name: str) -> Path:
    if (file := graph_file(folder, name)) is None:
        raise UserError(f"{folder}: holds no {name}.onnx or .ort; give an exported folder")
    return file
