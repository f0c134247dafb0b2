"""Any model as one that turns clips into text: a run, an adapter, a folder, a hub id, ONNX."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moontune.config.schema import Decoding, EvalConfig, TokenCap
from moontune.config.validation import check_choice
from moontune.data.audio import SAMPLE_RATE_HZ, checked_samples, long_enough
from moontune.errors import UserError
from moontune.languages.table import ENGLISH, Language, language_named
from moontune.models.arrays import Unplain, read_arrays
from moontune.models.confidence.calibration import Calibration, read_calibration
from moontune.models.decoding import TextLosses, Transcribe, Transcript, length_batches
from moontune.models.key_terms.weighing import KeyTerms
from moontune.models.language_model import LanguageModel
from moontune.models.locate import (
    language_of_adapter,
    locate,
    may_be_on_hub,
    other_language,
    stated_language,
    told_language,
)
from moontune.models.provenance import (
    base_of_adapter,
    other_weights,
    trained_on,
    weights_sha256,
)
from moontune.models.standalone import DECODER, ENCODER, graph_file
from moontune.system.device import choose_device, gpu_in_sight
from moontune.system.files import user_path
from moontune.transcribe.mending import MendedGreedy

if TYPE_CHECKING:
    from moontune.models.base_model import Base
    from moontune.models.transcriber import Transcriber
    from moontune.pipeline.run_folder.run_dir import RunDir

WHAT_MODEL_MAY_BE = (
    "give a run (outputs/NAME), a peft adapter, a folder from save_pretrained, a folder with "
    "encoder_model.onnx and decoder_model_merged.onnx, a hub id, or bundled"
)


@dataclass(frozen=True)
class Recognizer:
    """Call it with clips of float32 mono 16 kHz, each (samples,), and a cap of tokens."""

    name: str  # what was asked for
    kind: str  # "run", "adapter", "model" or "onnx"
    device: str
    cap: TokenCap  # the one a run was evaluated with, else the default
    note: str | None  # for the user, such as that an adapter is on other weights
    transcribe: Transcribe
    one_by_one: bool = False  # several clips together are no faster than one after another
    # Of the confidences that words of its transcripts carry; None: they carry none.
    calibration: Calibration | None = None
    losses: TextLosses | None = None  # where PyTorch listens
    language: Language = ENGLISH  # that it hears
    language_is_assumed: bool = False  # as nothing tells it

    def __call__(
        self, clips: Sequence[np.ndarray], cap: TokenCap | None = None
    ) -> list[Transcript]:
        """Their transcripts, in the same order. Clips of like length are transcribed together,
        which bounds the memory: each takes as much as the longest beside it. Raises UserError for
        what is no such clip."""
        clips = [long_enough(checked_samples(clip)) for clip in clips]
        found: list[tuple[int, Transcript]] = []
        for indices in length_batches([len(clip) / SAMPLE_RATE_HZ for clip in clips]):
            transcripts = self.transcribe([clips[i] for i in indices], cap or self.cap)
            found += zip(indices, transcripts, strict=True)
        return [transcript for _, transcript in sorted(found, key=lambda pair: pair[0])]


def open_recognizer(  # noqa: PLR0913 -- what a caller may choose, each by its own name
    what: str | Path,
    device: str = "auto",
    model_id: str | None = None,
    revision: str | None = None,
    *,
    word_times: bool = False,
    decoding: Decoding = "greedy",
    key_terms: KeyTerms | None = None,
    language_model: LanguageModel | None = None,
    language: str | None = None,
) -> Recognizer:
    """Load what `what` names. Raises UserError, with what is accepted where it is none of that.

    `model_id` is the base for an adapter or a run, instead of the one it was trained on; `revision`
    a commit of a base on the hub. With `word_times` it also tells when words are spoken, at the
    cost of loading PyTorch and of a second pass of the decoder; an exported ONNX pair cannot, nor
    can it the `consensus` of beams, whose transcripts carry confidences of their words, nor write
    `key_terms`. A `language_model` has a say in the consensus alone. `language` is the code of
    another one than the run's or the base's own; it holds within `languages.table.speaking`.
    """
    what = str(what)
    check_choice(device=device, decoding=decoding)
    if language is not None:
        language_named(language)
    how = _Listening(device, decoding, word_times, key_terms, language_model)
    kind = _kind(what)
    if model_id is not None and kind not in ("run", "adapter"):
        raise UserError(f"--model-id is the base of an adapter, and {what} is none; drop it")
    if kind == "onnx":
        if decoding != "greedy":
            raise UserError(f"{what}: an ONNX pair is decoded greedily; name the run it is from")
        if key_terms is not None:
            raise UserError(f"{what}: an ONNX pair takes no key terms; name the run it is from")
        return _onnx(what, stated_language_of_model(what, language=language))
    if kind == "model":
        parts = _Parts(what, revision, language=language)
        return _loaded(what, "model", parts, how)
    folder = user_path(what)
    if kind == "adapter" and model_id is not None:
        parts = _Parts(model_id, revision, folder, language=language_of_adapter(folder))
    else:
        parts = _parts_of_run(folder) if kind == "run" else _parts_of_adapter(folder)
    if model_id is not None:
        parts = dataclasses.replace(parts, base=model_id, revision=revision, run=None)
    if language is not None:
        parts = dataclasses.replace(parts, language=language)
    return _loaded(what, kind, parts, how)


def base_of(what: str) -> tuple[str, str | None] | None:
    """The base that a run or an adapter is on, and its commit on the hub; None of a whole model.

    Raises UserError where `what` is no model.
    """
    kind = _kind(what)
    if kind not in ("run", "adapter"):
        return None
    folder = user_path(what)
    parts = _parts_of_run(folder) if kind == "run" else _parts_of_adapter(folder)
    return parts.base, parts.revision


def language_of_model(
    what: str, model_id: str | None = None, *, language: str | None = None, ask_hub: bool = True
) -> Language:
    """The language that a model hears, English where nothing tells it."""
    return stated_language_of_model(what, model_id, language=language, ask_hub=ask_hub) or ENGLISH


def stated_language_of_model(
    what: str, model_id: str | None = None, *, language: str | None = None, ask_hub: bool = True
) -> Language | None:
    """The language that a model hears: the one asked for, else a run's or an adapter's own, else
    its base's; None where nothing tells it.

    Nothing is loaded; without `ask_hub` nothing is downloaded either. Raises UserError.
    """
    if language is not None:
        return language_named(language)
    kind, folder = _kind(what), user_path(what)
    if kind == "onnx":
        code = told_language(folder)
    elif kind == "model":
        code = stated_language(what, ask_hub=ask_hub)
    elif kind == "adapter" and model_id is not None:
        code = language_of_adapter(folder) or stated_language(model_id, ask_hub=ask_hub)
    else:
        parts = _parts_of_run(folder) if kind == "run" else _parts_of_adapter(folder)
        base, revision = (parts.base, parts.revision) if model_id is None else (model_id, None)
        code = parts.language or stated_language(base, revision, ask_hub=ask_hub)
    return None if code is None else Language(code)


def unlike_own_language(what: str, model_id: str | None, language: Language) -> str | None:
    """A line where a model, by its name or by what it says of itself, hears another language than
    the one asked for. Raises UserError."""
    if line := other_language(what, language.code):
        return line
    own = stated_language_of_model(what, model_id, ask_hub=False)
    if own in (None, language):
        return None
    return f"{what} hears {own.name}, and {language.name} is asked for"


def is_onnx_pair(what: str) -> bool:
    """Whether `what` names an exported pair. Raises UserError where it is no model."""
    return _kind(what) == "onnx"


def _kind(what: str) -> str:
    if what == "bundled":
        return "model"
    folder = user_path(what)
    if not folder.is_dir():
        if may_be_on_hub(what) and not folder.exists():
            return "model"
        state = "is a file" if folder.exists() else "no such folder"
        raise UserError(f"{what}: {state}; {WHAT_MODEL_MAY_BE}")
    if (folder / "run.json").is_file():
        return "run"
    if (folder / "adapter_config.json").is_file():
        return "adapter"
    if _holds_pair(folder):
        return "onnx"
    if (folder / "config.json").is_file():
        return "model"
    if _holds_pair(folder / "onnx"):
        raise UserError(f"{what}: holds several forms of a model; name one, as {folder / 'onnx'}")
    raise UserError(f"{what}: holds no model; {WHAT_MODEL_MAY_BE}")


def _holds_pair(folder: Path) -> bool:
    return all(graph_file(folder, name) for name in (ENCODER, DECODER))


@dataclass(frozen=True)
class _Listening:
    """Where, and how, and whether words are timed."""

    device: str
    decoding: Decoding
    word_times: bool
    key_terms: KeyTerms | None
    language_model: LanguageModel | None

    @property
    def plainly_on_cpu(self) -> bool:
        """Whether graphs do, which tell no attention and have no beams."""
        on_cpu = self.device == "cpu" or (self.device == "auto" and not gpu_in_sight())
        plain = self.decoding == "greedy" and not self.word_times and self.key_terms is None
        return on_cpu and plain


@dataclass(frozen=True)
class _Parts:
    base: str
    revision: str | None = None
    adapter: Path | None = None
    processor: Path | None = None
    language: str | None = None  # None: the base's own
    language_is_assumed: bool = False
    cap: TokenCap | None = None  # None: the language's
    run: RunDir | None = None


def _parts_of_run(folder: Path) -> _Parts:
    from moontune.pipeline.run_folder.opening import adapter_run

    run = adapter_run(folder)
    if not (run.adapter / "adapter_config.json").is_file():
        raise UserError(f"{folder}: has no adapter; do its training first")
    config, parts = run.config(), _parts_of_adapter(run.adapter)
    processor = run.processor if run.processor.is_dir() else None
    # The folder that the run began in is known to the run alone.
    base = config.model.model_id if parts.revision is None else parts.base
    own = {"language": config.language.code, "cap": config.eval.token_cap}
    return dataclasses.replace(parts, base=base, processor=processor, run=run, **own)


def _parts_of_adapter(folder: Path) -> _Parts:
    base = base_of_adapter(folder)
    if base is None:
        raise UserError(f"{folder}: does not say which base it is for; add --model-id BASE")
    return _Parts(*base, folder, language=language_of_adapter(folder))


def _loaded(what: str, kind: str, parts: _Parts, how: _Listening) -> Recognizer:
    calibration = _calibration(parts.run, how.decoding) if how.decoding != "greedy" else None
    try:
        folder = locate(parts.base, parts.revision).folder
        parts = _with_language(parts)
        if how.plainly_on_cpu:
            try:
                return _through_arrays(what, kind, parts, folder)
            except Unplain:
                pass
        base = _base(parts, how.device)
    except UserError as error:
        if parts.adapter is None:  # then --model-id would be --model
            raise UserError(str(error).replace("--model-id", "--model")) from None
        said = str(error).removeprefix("--model-id ")  # which the user did not give
        raise UserError(f"the base of {parts.adapter}: {said}") from None
    from moontune.models.adapter import load_adapted
    from moontune.models.transcriber import Transcriber

    base, note = load_adapted(base, parts.adapter, parts.processor)
    transcriber = Transcriber(
        base,
        how.decoding,
        calibration=calibration,
        key_terms=how.key_terms,
        language_model=how.language_model,
    )
    transcribe = transcriber.timed if how.word_times else transcriber
    assert parts.cap is not None
    assert parts.language is not None
    language = Language(parts.language)
    found = (what, kind, base.device, parts.cap, note, transcribe)
    return Recognizer(
        *found,
        calibration=calibration,
        losses=transcriber.losses,
        language=language,
        language_is_assumed=parts.language_is_assumed,
    )


def _with_language(parts: _Parts) -> _Parts:
    """The parts with their language, and the token cap that goes with it. Raises UserError."""
    told = parts.language or stated_language(parts.base, parts.revision)
    language = language_named(told or ENGLISH.code)
    cap = parts.cap or _cap(language)
    if parts.run is not None and language != parts.run.config().language:
        cap = TokenCap(language.tokens_per_second, cap.margin)
    return dataclasses.replace(
        parts, language=language.code, language_is_assumed=told is None, cap=cap
    )


def _cap(language: Language) -> TokenCap:
    return TokenCap(language.tokens_per_second, EvalConfig.token_margin)


def _calibration(run: RunDir | None, decoding: Decoding) -> Calibration:
    """The run's own, or the default where it has none, or none yet of the adapter that is there, or
    one of another decoding.

    Raises UserError for a damaged one.
    """
    if run is None or "evaluate" not in run.stages() or not run.confidence.is_file():
        return Calibration()
    found = read_calibration(run.confidence, run.confidence_remedy)
    of_run = run.config().eval.decoding
    if found.decoding is None and of_run != "greedy":  # an older run: it decoded so
        found = dataclasses.replace(found, decoding=of_run)
    return found.of(decoding)


def _base(parts: _Parts, device: str) -> Base:
    choose_device(device)
    from moontune.models.base_model import load_base

    return load_base(parts.base, parts.revision, device)


def _through_arrays(what: str, kind: str, parts: _Parts, folder: Path) -> Recognizer:
    """On the CPU and without PyTorch, whose import takes longer than most transcripts.

    Raises Unplain where only PyTorch's way is sure to be right.
    """
    from moontune.models.onnx import OnnxTranscriber

    def with_torch() -> Transcriber:
        from moontune.models.adapter import load_adapted
        from moontune.models.base_model import load_base
        from moontune.models.transcriber import Transcriber

        base = load_base(str(folder), None, "cpu")
        return Transcriber(load_adapted(base, parts.adapter, parts.processor)[0])

    arrays = read_arrays(folder, parts.adapter, parts.processor)
    transcriber = MendedGreedy(OnnxTranscriber.of_arrays(arrays), with_torch)
    note = None
    if parts.adapter is not None and trained_on(parts.adapter):
        note = other_weights(parts.adapter, weights_sha256(folder))
    assert parts.cap is not None
    assert parts.language is not None
    language = Language(parts.language)
    found = (what, kind, "cpu", parts.cap, note, transcriber)
    assumed = parts.language_is_assumed
    return Recognizer(*found, language=language, language_is_assumed=assumed)


def _onnx(what: str, told: Language | None) -> Recognizer:
    from moontune.models.onnx import OnnxTranscriber

    transcriber = OnnxTranscriber(user_path(what))
    language = told or ENGLISH
    found = (what, "onnx", "cpu", _cap(language), None, transcriber)
    assumed = told is None
    return Recognizer(*found, one_by_one=True, language=language, language_is_assumed=assumed)
