"""The models of the page, loaded in the background, and what they write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from moontune.config.schema import Decoding
from moontune.errors import UserError
from moontune.languages.words import joined_words
from moontune.serve.counts import Hypothesis
from moontune.transcribe.long_form import transcribe_long
from moontune.transcribe.recognizer import Recognizer
from moontune.web.model_sources import ModelSource

_PATIENCE_S = 30.0  # a hub that is asked for a model may take longer


class ServedModels:
    """One or two models, loaded in the background."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        device: str,
        tell: Callable[[str], None],
        decoding: Decoding = "greedy",
    ) -> None:
        """`tell` gets a line where they cannot be loaded."""
        self._sources, self._device, self._tell = list(sources), device, tell
        self._decoding: Decoding = decoding
        self._models: list[tuple[str, Recognizer]] = []
        self._error: str | None = None
        self._loading = threading.Thread(target=self._load, daemon=True)

    def start(self) -> None:
        """Load them, meanwhile going on. Raises UserError at once where the hub has to be asked for
        one and does not give it."""
        self._sources = [source.found() for source in self._sources]
        self._loading.start()

    def end(self) -> None:
        """Wait for what is being loaded just now: a process that ends meanwhile is aborted."""
        if self._loading.is_alive():
            self._loading.join(_PATIENCE_S)

    def _load(self) -> None:
        models = []
        for source in self._sources:
            try:
                models.append((source.name, source.load(self._device, self._decoding)))
            except UserError as error:
                # A whole model is --model to `moontune transcribe`, and --model-id here.
                why = str(error).replace("--model ", "--model-id ")
                if not source.optional:
                    self._error = why
                    self._tell(f"the page cannot transcribe: {why}")
                    return
                self._tell(f"remark: without the base beside it ({why})")
        self._models = models

    def __call__(self, samples: np.ndarray) -> list[Hypothesis]:
        """Transcripts of float32 mono 16 kHz samples, (samples,), by each model.

        Waits until they are loaded. Raises UserError if they cannot be.
        """
        self._loading.join()
        if self._error is not None:
            raise UserError(self._error)
        hypotheses = []
        for name, model in self._models:
            begun = time.perf_counter()
            transcripts = transcribe_long(samples, model.transcribe, model.cap)
            text = joined_words(row.text for row in transcripts if row.text)
            hypothesis = Hypothesis(name, text, time.perf_counter() - begun)
            if model.calibration is not None:
                sure = tuple(p for row in transcripts for p in row.confidences or ())
                says = model.calibration.says
                hypothesis = replace(hypothesis, confidences=sure, calibration=says)
            hypotheses.append(hypothesis)
        return hypotheses
