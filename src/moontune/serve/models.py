"""The two models of a run that the page compares."""

from __future__ import annotations

import threading
import time

import numpy as np

from moontune.errors import UserError
from moontune.pipeline.run_dir import RunDir, pinned_revision
from moontune.serve.app import Hypothesis
from moontune.transcribe.long_form import transcribe_long
from moontune.transcribe.recognizer import Recognizer, open_recognizer


class RunModels:
    """Base and tuned model of a run, loaded in the background."""

    def __init__(self, run: RunDir, device: str) -> None:
        self._run, self._device = run, device
        self._models: list[tuple[str, Recognizer]] = []
        self._error: str | None = None
        self._loading = threading.Thread(target=self._load, daemon=True)

    def start(self) -> None:
        self._loading.start()

    def _load(self) -> None:
        config = self._run.config()
        revision = pinned_revision(self._run, config)
        try:
            base = open_recognizer(config.model.model_id, self._device, revision=revision)
            tuned = open_recognizer(str(self._run.path), self._device)
        except UserError as error:
            self._error = str(error)
        else:
            self._models = [("base", base), ("tuned", tuned)]

    def __call__(self, samples: np.ndarray) -> list[Hypothesis]:
        """Transcripts of float32 mono 16 kHz samples, (samples,), by base and tuned model.

        Waits until they are loaded. Raises UserError if they cannot be.
        """
        self._loading.join()
        if self._error is not None:
            raise UserError(self._error)
        hypotheses = []
        for name, model in self._models:
            begun = time.perf_counter()
            transcripts = transcribe_long(samples, model.transcribe, model.cap)
            text = " ".join(row.text for row in transcripts if row.text)
            hypotheses.append(Hypothesis(name, text, time.perf_counter() - begun))
        return hypotheses
