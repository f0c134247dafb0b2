"""The models that the page lets hear: a base alone, or what was tuned beside its base."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moontune.config.schema import Decoding, ModelConfig
from moontune.errors import UserError
from moontune.models.locate import is_hub_id, locate
from moontune.serve.counts import Hypothesis
from moontune.transcribe.long_form import transcribe_long
from moontune.transcribe.recognizer import Recognizer, base_of, open_recognizer


@dataclass(frozen=True)
class ModelSource:
    """A model that is not loaded yet."""

    name: str  # on the page: "base", "tuned", "model"
    what: str  # as `open_recognizer` takes it
    revision: str | None = None
    model_id: str | None = None  # the base of an adapter, where it is not its own
    optional: bool = False  # the other is enough where it cannot be loaded

    def found(self) -> ModelSource:
        """The same, a model of the hub as it now is on this machine. Raises UserError."""
        if self.optional or not is_hub_id(self.what) or Path(self.what).exists():
            return self
        return replace(self, revision=locate(self.what, self.revision).revision)

    def load(self, device: str, decoding: Decoding) -> Recognizer:
        """Raises UserError."""
        return open_recognizer(self.what, device, self.model_id, self.revision, decoding=decoding)


def model_sources(what: str | None, model_id: str | None) -> list[ModelSource]:
    """The models to compare, base first: a run's or an adapter's base is its own, an export's the
    one that it notes, and of another whole model only `model_id`.

    `what` None: the base alone. Raises UserError where there is no such model.
    """
    if model_id is not None and base_of(model_id) is not None:
        raise UserError(f"--model-id {model_id}: is no base; name it without --model-id")
    if what is None:
        return [ModelSource("base", model_id or ModelConfig.model_id)]
    what = _merged(what)
    own = base_of(what)
    if own is not None:
        base = ModelSource("base", *(own if model_id is None else (model_id, None)))
        return [base, ModelSource("tuned", what, model_id=model_id)]
    noted = _base_of_export(Path(what)) if model_id is None else (model_id, None)
    if noted is None:
        return [ModelSource("model", what)]
    return [ModelSource("base", *noted, optional=model_id is None), ModelSource("tuned", what)]


def _merged(what: str) -> str:
    """Of the folder that `moontune export` made, the plain weights; else `what`."""
    folder = Path(what)
    whole = (folder / "export.json").is_file() and (folder / "merged/config.json").is_file()
    return str(folder / "merged") if whole else what


def _base_of_export(model: Path) -> tuple[str, str | None] | None:
    """The base that an exported model was tuned from, and its commit on the hub."""
    try:
        noted = json.loads((model.parent / "export.json").read_text(encoding="utf-8"))["base"]
        return str(noted["asked"]), noted["revision"] if noted["from_hub"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
            text = " ".join(row.text for row in transcripts if row.text)
            hypothesis = Hypothesis(name, text, time.perf_counter() - begun)
            if model.calibration is not None:
                sure = tuple(p for row in transcripts for p in row.confidences or ())
                says = model.calibration.says
                hypothesis = replace(hypothesis, confidences=sure, calibration=says)
            hypotheses.append(hypothesis)
        return hypotheses
