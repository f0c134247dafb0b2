"""Models that pages let hear: a base alone, or what was tuned beside its base; not loaded yet."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from moontune.config.schema import Decoding, ModelConfig
from moontune.errors import UserError
from moontune.languages.table import current
from moontune.models.key_terms.weighing import KeyTerms
from moontune.models.language_model import LanguageModel
from moontune.models.locate import is_hub_id, locate
from moontune.transcribe.recognizer import Recognizer, base_of, open_recognizer


@dataclass(frozen=True)
class ModelSource:
    """A model that is not loaded yet."""

    name: str  # on the page: "base", "tuned", "model"
    what: str  # as `open_recognizer` takes it
    revision: str | None = None
    model_id: str | None = None  # the base of an adapter, where it is not its own
    optional: bool = False  # the other is enough where it cannot be loaded
    key_terms: KeyTerms | None = None  # that it writes
    language_model: LanguageModel | None = None  # that has a say in its consensus

    def found(self) -> ModelSource:
        """The same, a model of the hub as it now is on this machine. Raises UserError."""
        if self.optional or not is_hub_id(self.what) or Path(self.what).exists():
            return self
        return replace(self, revision=locate(self.what, self.revision).revision)

    def load(self, device: str, decoding: Decoding) -> Recognizer:
        """Raises UserError."""
        place = (self.what, device, self.model_id, self.revision)
        return open_recognizer(
            *place,
            decoding=decoding,
            key_terms=self.key_terms,
            language_model=self.language_model,
            language=current().code,
        )


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
